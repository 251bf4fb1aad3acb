/* SPDX-License-Identifier: Apache-2.0 */
/* Student's t by the finite sum for even degrees of freedom, its quantile by bisection. */
#include "kernel/statistics.h"

#include <math.h>

double student_two_sided(double t, size_t df) {
    if (df < STUDENT_DF_MIN || isnan(t)) {
        return 1;
    }
    const size_t nu = df > STUDENT_DF_MAX ? STUDENT_DF_MAX : df / 2 * 2;
    const double c = (double)nu / ((double)nu + t * t);
    double term = 1;
    double sum = 1;
    for (size_t k = 1; k < nu / 2; k++) {
        term *= c * ((double)(2 * k) - 1) / (double)(2 * k);
        sum += term;
    }
    const double tail = 1 - sqrt(1 - c) * sum;
    return tail > 0 ? tail : 0;
}

double student_quantile(double tail, size_t df) {
    if (df < STUDENT_DF_MIN) {
        return (double)INFINITY;
    }
    double low = 0;
    double high = 1;
    while (student_two_sided(high, df) > tail && high < 0x1p40) {
        high *= 2;
    }
    for (int step = 0; step < 100; step++) {
        const double middle = (low + high) / 2;
        if (student_two_sided(middle, df) > tail) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return high;
}
