/* SPDX-License-Identifier: Apache-2.0 */
/** @file testing.h  What every unit test includes first. */
#ifndef WEIR_TESTS_TESTING_H
#define WEIR_TESTS_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h> /* needs the four above it */

#endif
