// jobs/evaluate/nearest_neighbours.h – k-NN classification as DINO and DINOv2 do it.
// Features scaled to length 1, similarity = dot product; the weights of the max-k neighbours are
// softmax(similarity / T); for each k the first k vote with their weights. Source: dinov2/eval/knn.py. Ties
// go to the smaller bank row and class. Threads: classify shares the queries out; results do not depend on
// how many.
#pragma once

#include <cstdint>
#include <vector>

#include "jobs/evaluate/feature_table.h"

namespace paddock::evaluate {

struct Scored {
  std::uint32_t row = 0;
  double similarity = 0;
};

// The `k` rows of `bank` most similar to each query, most similar first. k is clipped to the bank. Rows have
// length 1, or 0. a·b is computed as (|a|² + |b|² − |a − b|²) / 2 with a and b taken about the bank's mean:
// the class tokens of an untrained model differ in the fourth digit and their dot products only in the
// seventh, where plain float32 sums are noise.
std::vector<std::vector<Scored>> nearest_rows(const FeatureTable& queries, const FeatureTable& bank,
                                              std::size_t k, int threads);

struct KnnPrediction {
  std::int32_t label = 0;
  float score = 0;  // its share of the votes
};

struct KnnResult {
  std::size_t k = 0;                       // after clipping to the bank; equal ones appear once
  std::vector<KnnPrediction> predictions;  // of each query
};

// `neighbours` of each query in the bank, at least as many as the largest of `ks` (or the whole bank);
// `bank_labels` in [0, classes). temperature > 0.
std::vector<KnnResult> classify(const std::vector<std::vector<Scored>>& neighbours,
                                const std::vector<std::int32_t>& bank_labels, std::size_t classes,
                                const std::vector<std::int64_t>& ks, double temperature);

}  // namespace paddock::evaluate
