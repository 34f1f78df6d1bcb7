// jobs/evaluate/linear_probe.h – a linear classifier on features computed once ("linear-cached").
// Named apart from DINOv2's linear protocol because the pictures are not augmented: scores are not comparable
// with it. Like it otherwise: a grid of learning rates trained side by side, weights from N(0, 0.01), SGD
// with momentum 0.9, no weight decay, cosine to zero, cross-entropy. Features are standardised with the
// training part's mean and deviation. The rate is chosen on a part of train held out by keyed draw, never on
// test; the probe is then fitted again on all of train. Batches are keyed permutations. Threads: one.
#pragma once

#include <cstdint>
#include <vector>

#include "jobs/evaluate/feature_table.h"

namespace paddock::evaluate {

struct LinearProbeOptions {
  std::vector<double> learning_rates = {1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1};  // for a batch of 256
  std::int64_t epochs = 30;
  std::int64_t batch = 128;
  double held_out_share = .1;
  std::uint64_t seed = 0;
};

struct LinearProbeResult {
  double learning_rate = 0;               // the one chosen
  double held_out_accuracy = 0;           // with which it was chosen
  std::vector<std::int32_t> predictions;  // of each test row
};

// `labels` in [0, classes), one a row of `train`. Throws std::invalid_argument on too few rows to hold any
// out.
LinearProbeResult linear_probe(const FeatureTable& train, const std::vector<std::int32_t>& labels,
                               std::int64_t classes, const FeatureTable& test,
                               const LinearProbeOptions& options);

}  // namespace paddock::evaluate
