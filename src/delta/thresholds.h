/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file thresholds.h  Every number by which delta/ decides, and where each comes from.
 *
 * One file, so that a reader sees them together and so that the held-out cases of the zoo, which
 * are drawn from the SHA-256 of this file, change whenever one of them does. All are ours.
 */
#ifndef WEIR_DELTA_THRESHOLDS_H
#define WEIR_DELTA_THRESHOLDS_H

#include <stddef.h>

/* A replay is called proved from this share of equal numbers on: what is left is ties of rounding
 * in another order of sums. A wrong coefficient leaves 6% unequal and more. */
static const double THRESHOLD_REPLAY_PROVED = 0.9999;

/* A singular value belongs to the edit when it is so many times the largest one that rounding of
 * the same numbers would have. At the edge itself rounding that copies the edit's pattern is
 * counted too. */
static const double THRESHOLD_RANK_OVER_EDGE = 1.5;

/* Ablation: what is pooled over the write matrices must show all of these. */
/* Cosine of what changed along the directions to what the base writes there. Trained changes reach
 * .95 (PiSSA) on models of 64 dimensions, where a few directions hold much, with shares below .54;
 * edits are above .94, in Q4_0. */
static const double THRESHOLD_ABLATION_IDENTITY = 0.9;
/* Share of the change above rounding. Trained changes reach .64; edits are above .9. */
static const double THRESHOLD_ABLATION_SHARE = 0.8;
/* A matrix shows the edit when what is explained is so many times what one free number explains of
 * structureless rounding (five standard deviations), and the strength is above the low end. */
static const double THRESHOLD_ABLATION_EDITED_CHI2 = 25;
static const double THRESHOLD_ABLATION_LAMBDA_LOW = 0.05;
/* A reflection has strength 2; searches of published tools end at 1.5. */
static const double THRESHOLD_ABLATION_LAMBDA_HIGH = 1.75;
/* Cosine of W W'u to u: 1 where singular values were cut, shrunk or clipped. Directions from
 * outside reach .87. */
static const double THRESHOLD_ABLATION_OWN = 0.95;
/* Energy of k directions on k + 2 coordinates: 1 where dimensions were zeroed or mixed in pairs. */
static const double THRESHOLD_ABLATION_AXIS = 0.95;
/* Cosine to the vector of ones: 1 where the mean was taken out, which layer norms do not see. */
static const double THRESHOLD_ABLATION_MEAN = 0.9;
/* Smallest over second generalised eigenvalue. Of 374 trained changes none was below .44; edits of
 * strength .7 and 1 beside training are below .12. Matrices that each lost their own largest
 * singular value came down to .19 on a narrow stream: only strengths near 1 are told this way. */
static const double THRESHOLD_ABLATION_EIGEN_RATIO = 0.05;
/* Share of its direction among the four strongest of the change. A reflection makes another
 * direction empty than the one it changes along: .3. */
static const double THRESHOLD_ABLATION_EIGEN_IN_CHANGE = 0.8;
/* Matrices that must show each shared direction; with fewer, directions of their own fit as well.
 */
static const size_t THRESHOLD_ABLATION_MATRICES_PER_DIRECTION = 4;
/* Layers that must show a direction of their own each. */
static const size_t THRESHOLD_ABLATION_LAYERS = 4;
/* Rounding of block types is told from their steps, right to 10%. */
static const double THRESHOLD_ABLATION_BLOCK_ROUNDING = 1.1;
/* A matrix is worth the whole test when three directions hold so much of its change above rounding,
 * and stand so far (in squares) above the edge of noise. Loose: it only saves time. */
static const double THRESHOLD_ABLATION_SUSPECT = 0.3;
static const double THRESHOLD_ABLATION_SUSPECT_EDGE = 0.2;

/* An empty direction, seen in one model alone: of 1267 models that nobody edited the smallest ratio
 * was .20; edited at strength 1 in bf16 they have 1.2e-5 and less. */
static const double THRESHOLD_EMPTY_RATIO = 0.05;
static const double THRESHOLD_EMPTY_DEAD = 1e-4; /* of the mean energy of a dimension */
static const size_t THRESHOLD_EMPTY_WIDTH = 48;
static const size_t THRESHOLD_EMPTY_MATRICES = 4;
static const size_t THRESHOLD_EMPTY_VECTORS = 4; /* for each dimension */
/* Structure. Rows of one weight matrix and of another's are alike from this cosine on: independent
 * rows over 64 numbers or more stay below it but once in 10^4 (the deviation of their cosine is at
 * most .125); the zoo's tuned models keep .95 and more, and .67 after continued training by .7. */
static const double THRESHOLD_ROWS_ALIKE = 0.5;

/* Rows that are alike to this degree need no search for better ones and no margin: the angle is 26
 * degrees, where independent rows over 64 numbers are 7 deviations away. */
static const double THRESHOLD_ROWS_CLOSE = 0.9;

/* A layer, head or row counts as another one of the base only when that is so much nearer by cosine
 * than the next; the deviation of a difference of two cosines of independent rows is below .18. */
static const double THRESHOLD_PLACE_MARGIN = 0.2;

/* A row is another one's partner when its 1 - cosine is at most so much of the next nearest's: the
 * ratio test of Lowe 2004, whose .8 of distances it is. Rows that are near to two others by chance
 * are nearly as far from both. */
static const double THRESHOLD_ROW_NEARNESS = 0.64;

/* Of the units, heads or channels that could have a partner so many must have one, before any is
 * believed; of layers so many must be linked. 700 pairs of unrelated models of the zoo made no map.
 */
static const double THRESHOLD_MATCHED_SHARE = 0.5;

/* Squared relative error of the held tokens under an estimated rotation. Independent embeddings
 * leave about 2, a rotation stored in bf16 left 7 10^-6 (SmolLM2-135M). */
static const double THRESHOLD_ROTATION_TOKENS = 0.1;

/* A matrix holds the base's numbers in a turned basis when its squared relative error is at most
 * this: rounding both sides to bf16, and the basis estimated from rounded rows, left 10^-5 (the
 * same). A change of 1% of the norm is seen. */
static const double THRESHOLD_ROTATION_EQUAL = 1e-4;

/* A candidate takes part in a merge when its coefficient is so large: below it no recipe was seen,
 * and errors of the fit that no statistic tells (rounding in several steps) reach .002. */
static const double THRESHOLD_MERGE_WEIGHT_LEAST = 0.01;

/* ... and its square, over its variance, at least this. Of one candidate that takes no part chi-
 * square exceeds it with p = 1e-12. */
static const double THRESHOLD_MERGE_CHI_SQUARE = 50;

/* A recipe fits a sample when it re-computes this share of the numbers that moved. Ranks taken of a
 * sample, in place of the whole, cost up to 1%; a density wrong by .01 costs about as much, a model
 * trained after the merge most. */
static const double THRESHOLD_MERGE_FITS = 0.95;

/* ... and leaves at most this share of the squared change: few numbers may hold most of it.
 * Rounding leaves under .01 where the change is as large as the rounding. */
static const double THRESHOLD_MERGE_REST = 0.05;

/* Several parents contribute, though no recipe fits, when the best fit of all leaves this share
 * less than the best parent alone. Siblings that were trained alike explain up to .25 of what one
 * of them leaves (measured for tracing). */
static const double THRESHOLD_MERGE_CONTRIBUTES = 0.28;
/* A base whose numbers lie in their codes' cells as rounding leaves them has an excess of 1; one
 * that was read from the codes has 0, and then nothing says which came first. */
static const double THRESHOLD_CODED_EXCESS = 0.5;

/* A matrix is called ablated, and not by what else was done to it, when the projection explains
 * more than half of its change. */
static const double THRESHOLD_ABLATED_MOSTLY = 0.5;

/* Low rank. A matrix of low rank explains a change when what it leaves outside the numbers' boxes
 * is at most this part of what rounding itself would be. Adapters trained on SmolLM2 and stored in
 * bf16 (changes of .1, .3 and 1%) come below it at their rank; fits of any rank to fine-tunes of
 * .3 and 1% leave .2 and more, and of 360 fine-tuned matrices of the zoo none was explained. */
static const double THRESHOLD_RANK_EXCESS = 0.003;

/* And a change is called full rank when every rank that was tried leaves this much or more. */
static const double THRESHOLD_FULL_EXCESS = 0.1;

/* ... and no more than this part of the numbers is unchanged: else the ranks that the changed ones
 * can speak of end too early, and an adapter of rank 64 leaves as much (.1% in bf16: 76%). */
static const double THRESHOLD_FULL_UNCHANGED = 0.55;

/* Where the singular values of a fit fall by this factor, the edit's directions end. */
static const double THRESHOLD_RANK_GAP = 1.5;

/* A row scale is fitted out when the rows' share of the change along the base is so many times
 * what a change that knows nothing of the base has (1 / cols of its square, +- a few percent). */
static const double THRESHOLD_ROW_SCALE_OVER_CHANCE = 4;

/* In block dtypes, a singular value belongs to the edit when it is so many times the largest of
 * the noise that storing the base itself makes: that one varies by a few percent. */
static const double THRESHOLD_RANK_OVER_NOISE = 1.2;

/* What is left beyond the edit is that noise when its mean square is within this of the noise's
 * (both ways); a change is of full rank when all ranks that can be told leave the next times it. */
static const double THRESHOLD_NOISE_SQUARE = 1.03;
static const double THRESHOLD_FULL_SQUARE = 1.1;

/* Where only the noise's shape is known (K and IQ types): its largest values may exceed those of a
 * like noise by this. */
static const double THRESHOLD_BULK_OVER_NOISE = 1.1;
/* Codes are called those of the base only when a change of half a tenth of a percent, spread over
 * the tensor, would have shown in them: the lightest fine-tunes measured move a tenth. */
static const double THRESHOLD_HIDDEN_PROVED = 5e-4;

/* What could hide in a quantisation is called less than a fine-tune up to 1% of the norm, where the
 * ladder of fine-tunes begins. */
static const double THRESHOLD_HIDDEN_STRONG = 0.01;

/* Where factors explain the codes, the numbers must stand to the base as 1 to 1, less what a fitted
 * scale takes off: the square of the relative residual, of which encoders with an importance matrix
 * took 0.8 to 1.0. This is how much more it may be, and how much may be added or missing beside. */
static const double THRESHOLD_SLOPE_RESIDUAL = 1.5;
static const double THRESHOLD_SLOPE_MARGIN = 0.002;

/* Numbers of one row that may lie outside their cells in a proof, as a share of the row: an edit of
 * one row is lost among all. Unchanged rows of ggml's encoders had none. */
static const double THRESHOLD_ROW_OUTSIDE = 0.01;

/* Share of numbers within the reach of a type's encoder. ggml's lay 0.9995 and more within, the
 * shortfall being numbers that an importance matrix lets be cut off. */
static const double THRESHOLD_CONTAINED = 0.999;

/* Reach of an encoder, in gaps between levels: of those that round each number to one of the
 * nearest two levels; of those that choose rows of a list (0.9996 of IQ3_XXS lie within 4), or move
 * numbers to make up for the errors of others (GPTQ). */
static const float THRESHOLD_REACH_ROUNDED = 1.0F;
static const float THRESHOLD_REACH_MOVED = 4.0F;

/* Residual over what numbers spread evenly in their cells have, at most: ggml's encoders leave 0.71
 * to 1.07, GPTQ with strongly correlated inputs 2.5 to 3.1, and a 20% change under it 8. */
static const double THRESHOLD_EXCESS_ROUNDED = 1.25;
static const double THRESHOLD_EXCESS_MOVED = 4.0;

/* Share of a change's energy that a detour through a coarser type must take away to be one. A
 * change of another kind is uncorrelated with that type's rounding, and the way adds energy: below
 * 0. */
static const double THRESHOLD_DETOUR_ENERGY = 0.5;

/* Share of numbers that are zero where neither the base nor rounding makes them so, from which
 * pruning is looked for. Training makes no exact zeros. */
static const double THRESHOLD_ZEROS_SUSPECTED = 1e-4;

/* Share of float numbers that became exactly zero, from which they were pruned whatever the choice
 * and the survivors: no fine-tune of the zoo makes any. */
static const double THRESHOLD_ZEROS_PRUNED = 0.01;

/* A rule of pruning is named from this share of explained decisions on. The factors of Wanda's rule
 * are fitted on a sample and leave 0.4 to 1.1% unexplained; of choices at random, which have
 * nothing to explain, a fit over as many inputs as rows makes 79%. */
static const double THRESHOLD_RULE_NAMED = 0.98;

/* Chat templates. A text has words when one of them has so many letters: shorter ones stand in
 * marks and joints of published templates ("to", "of", "GO"). */
static const size_t THRESHOLD_WORD_LETTERS = 3;

/* A change is noise when its largest singular value, and the variance of its rows' and columns'
 * energies, are at most so many times the largest of four shuffled copies. Noise added to models of
 * the zoo reached 1.02 and 1.36 (57 matrices); the least of 270 trained ones was 1.31 and 2.2. */
static const double THRESHOLD_NOISE_TOP = 1.05;
static const double THRESHOLD_NOISE_ENERGIES = 1.6;

/* Size of a full-rank change over the base's norm: the ladder of modeldelta 0.4.4. */
static const double THRESHOLD_BAND_STANDARD = 0.015;
static const double THRESHOLD_BAND_HEAVY = 0.05;
static const double THRESHOLD_BAND_EXTREME = 0.12;

/* An adapter's replay is proved when, of the numbers that it or the model moves, this share comes
 * out bit for bit and THRESHOLD_REPLAY_PROVED at most one step away: PEFT's sums run in another
 * order and may round the product first (real merges: .99995 and more). In F32, where sums in two
 * orders seldom agree to the bit, the second alone decides: a millionth. H0: another change. A
 * stranger's signs agree in half of the moved numbers; a coefficient 5% off leaves 6% unequal. */
static const double THRESHOLD_REPLAY_EQUAL = 0.97;

/* A few changed numbers have no pattern: one factor or one direction explains any of them. */
enum { THRESHOLD_PATTERN_NUMBERS = 64 };

/* An ablation is told as the outermost change of the numbers when its identity holds so closely:
 * training of 1% of the norm afterwards leaves a cosine of .99 and less along the direction. */
static const double THRESHOLD_IDENTITY_LAST = 0.9995;

/* The same for numbers stored as codes, one of which is zero: any change of the size of a step
 * moves some there, up to 3% for a projection of full strength in 4 bits. Nobody prunes a
 * twentieth. */
static const double THRESHOLD_ZEROS_CODED = 0.05;

#endif
