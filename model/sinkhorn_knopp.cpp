#include "model/sinkhorn_knopp.h"

#include <limits>
#include <stdexcept>

namespace paddock::model {

torch::Tensor sinkhorn_knopp(const torch::Tensor& scores_BK, double temperature, int iterations,
                             Collective& ranks) {
  if (scores_BK.dim() != 2)
    throw std::invalid_argument("sinkhorn_knopp: scores must be [samples, prototypes]");
  const torch::NoGradGuard no_grad;
  const double floor = std::numeric_limits<float>::min();
  const std::int64_t samples = scores_BK.size(0), prototypes = scores_BK.size(1);
  auto q_BK = scores_BK.to(torch::kFloat32).div(temperature);
  auto greatest = torch::full({1}, -std::numeric_limits<float>::infinity(), q_BK.options());
  torch::Tensor row_max_B1 = torch::empty({0, 1}, q_BK.options());
  if (samples > 0) {
    row_max_B1 = q_BK.amax(1, true);
    greatest.copy_(row_max_B1.max());
  }
  ranks.all_reduce_max(greatest);
  q_BK = q_BK.sub_(row_max_B1).exp_();
  auto u_B1 = (row_max_B1 - greatest).exp();
  torch::Tensor r_K1;
  for (int i = 0; i < iterations; ++i) {
    // Each prototype's share becomes 1/K …
    auto mass_K1 = q_BK.t().mm(u_B1);
    ranks.all_reduce_sum(mass_K1);
    r_K1 = mass_K1.mul_(static_cast<double>(prototypes)).clamp_min_(floor).reciprocal_();
    // … then each sample's 1/(all samples), a factor that the last step takes out again.
    u_B1 = q_BK.mm(r_K1).clamp_min_(floor).reciprocal_();
  }
  return q_BK.mul_(u_B1).mul_(r_K1.t());
}

torch::Tensor sinkhorn_knopp_reference(const torch::Tensor& scores_BK, double temperature, int iterations) {
  const torch::NoGradGuard no_grad;
  const auto scaled = scores_BK.to(torch::kFloat64) / temperature;
  auto q = (scaled - scaled.max()).exp().t();  // K×B, as in the paper
  const auto prototypes = static_cast<double>(q.size(0)), samples = static_cast<double>(q.size(1));
  q = q / q.sum();
  for (int i = 0; i < iterations; ++i) {
    q = q / q.sum(1, true) / prototypes;
    q = q / q.sum(0, true) / samples;
  }
  return (q * samples).t().contiguous();
}

}  // namespace paddock::model
