#include "jobs/evaluate/statistics.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/random.h"

namespace paddock::evaluate {

Interval wilson(std::size_t successes, std::size_t n) {
  PADDOCK_REQUIRE(n > 0 && successes <= n, successes, n);
  constexpr double z = 1.959963984540054;
  const auto count = static_cast<double>(n);
  const double share = static_cast<double>(successes) / count;
  const double centre = (share + z * z / (2 * count)) / (1 + z * z / count);
  const double half =
      z / (1 + z * z / count) * std::sqrt(share * (1 - share) / count + z * z / (4 * count * count));
  // At 0 and n of n the bound is exact; rounding must not push it past.
  return {successes == 0 ? 0. : centre - half, successes == n ? 1. : centre + half};
}

double mcnemar_exact(std::size_t only_first, std::size_t only_second) {
  const std::size_t n = only_first + only_second;
  if (n == 0) return 1;
  const std::size_t fewer = std::min(only_first, only_second);
  // log of C(n, i) / 2^n by the ratio of neighbours; summed from the largest term to keep precision.
  double log_term = -static_cast<double>(n) * std::log(2.);
  for (std::size_t i = 0; i < fewer; ++i)
    log_term += std::log(static_cast<double>(n - i)) - std::log(static_cast<double>(i + 1));
  double sum = 0;
  for (std::size_t i = fewer + 1; i-- > 0;) {
    sum += std::exp(log_term);
    log_term += std::log(static_cast<double>(i)) - std::log(static_cast<double>(n - i + 1));
  }
  return std::min(1., 2 * sum);
}

namespace {

struct Strata {
  std::vector<std::vector<bool>> correct;  // by class
};

Strata by_class(const std::vector<std::int32_t>& labels, const std::vector<bool>& correct,
                std::size_t classes) {
  PADDOCK_REQUIRE(labels.size() == correct.size(), labels.size(), correct.size());
  Strata strata{std::vector<std::vector<bool>>(classes)};
  for (std::size_t i = 0; i < labels.size(); ++i) {
    PADDOCK_REQUIRE(labels[i] >= 0 && static_cast<std::size_t>(labels[i]) < classes, labels[i], classes);
    strata.correct[static_cast<std::size_t>(labels[i])].push_back(correct[i]);
  }
  return strata;
}

}  // namespace

double mean_per_class(const std::vector<std::int32_t>& labels, const std::vector<bool>& correct,
                      std::size_t classes) {
  const Strata strata = by_class(labels, correct, classes);
  double sum = 0;
  std::size_t used = 0;
  for (const std::vector<bool>& stratum : strata.correct) {
    if (stratum.empty()) continue;
    ++used;
    sum += static_cast<double>(std::count(stratum.begin(), stratum.end(), true)) /
           static_cast<double>(stratum.size());
  }
  return used == 0 ? 0 : sum / static_cast<double>(used);
}

Interval mean_per_class_interval(const std::vector<std::int32_t>& labels, const std::vector<bool>& correct,
                                 std::size_t classes, std::size_t resamples, std::uint64_t seed) {
  PADDOCK_REQUIRE(resamples > 0);
  const Strata strata = by_class(labels, correct, classes);
  std::vector<double> means;
  for (std::size_t resample = 0; resample < resamples; ++resample) {
    Draws draws(seed, resample, Purpose::kBootstrap);
    double sum = 0;
    std::size_t used = 0;
    for (const std::vector<bool>& stratum : strata.correct) {
      if (stratum.empty()) continue;
      ++used;
      std::size_t hits = 0;
      for (std::size_t i = 0; i < stratum.size(); ++i) hits += stratum[draws.below(stratum.size())];
      sum += static_cast<double>(hits) / static_cast<double>(stratum.size());
    }
    means.push_back(used == 0 ? 0 : sum / static_cast<double>(used));
  }
  std::sort(means.begin(), means.end());
  const auto quantile = [&](double q) {
    return means[static_cast<std::size_t>(q * static_cast<double>(means.size() - 1) + .5)];
  };
  return {quantile(.025), quantile(.975)};
}

}  // namespace paddock::evaluate
