// jobs/evaluate/statistics.h – how sure a measured number is.
// Accuracy: Wilson's interval. Mean per class: a bootstrap that draws within each class. Two models on the
// same pictures: McNemar's exact test on the pictures where they differ. Draws are counter-based: the same
// interval each time. Threads: pure functions.
#pragma once

#include <cstdint>
#include <vector>

namespace paddock::evaluate {

struct Interval {
  double low = 0;
  double high = 0;
};

// Of a share `successes`/`n` at 95 % (Wilson 1927). n > 0.
Interval wilson(std::size_t successes, std::size_t n);

// Two-sided p that the discordant pairs split `only_first` : `only_second` by chance; 1 when there are none.
double mcnemar_exact(std::size_t only_first, std::size_t only_second);

// The mean over classes of the share of correct pictures; classes without pictures do not count.
// `labels[i]` in [0, classes), `correct[i]` for each picture.
double mean_per_class(const std::vector<std::int32_t>& labels, const std::vector<bool>& correct,
                      std::size_t classes);

// 95 % percentile interval of mean_per_class over `resamples` stratified resamples.
Interval mean_per_class_interval(const std::vector<std::int32_t>& labels, const std::vector<bool>& correct,
                                 std::size_t classes, std::size_t resamples, std::uint64_t seed);

}  // namespace paddock::evaluate
