/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/fixed_points.h"

static double factorial(int n) {
    double product = 1;
    for (int i = 2; i <= n; i++) {
        product *= i;
    }
    return product;
}

static double derangements(int n) {
    double count = 1;
    for (int m = 1; m <= n; m++) {
        count = m * count + (m % 2 == 0 ? 1 : -1);
    }
    return count;
}

static double choose(int n, int k) {
    return factorial(n) / (factorial(k) * factorial(n - k));
}

double fixed_points_tail(int n, int k) {
    double sum = 0;
    for (int j = n; j >= k && j >= 0; j--) {
        sum += derangements(n - j) / (factorial(j) * factorial(n - j));
    }
    return sum < 1 ? sum : 1;
}

double fixed_points_bound(int n, int pairs, int k) {
    if (k > pairs) {
        return 0;
    }
    const double bound = choose(pairs, k) * factorial(n - k) / factorial(n);
    return bound < 1 ? bound : 1;
}

double rising_chain_bound(int n, int k) {
    if (k > n) {
        return 0;
    }
    const double bound = choose(n, k) / factorial(k);
    return bound < 1 ? bound : 1;
}
