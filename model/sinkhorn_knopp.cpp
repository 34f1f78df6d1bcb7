#include "model/sinkhorn_knopp.h"

#include <limits>
#include <stdexcept>

namespace paddock::model {

std::vector<torch::Tensor> sinkhorn_knopp(const std::vector<torch::Tensor>& scores_BK, double temperature,
                                          int iterations, const Shards& shards) {
  const torch::NoGradGuard no_grad;
  const double floor = std::numeric_limits<float>::min();
  std::vector<torch::Tensor> q_BK, u_B1, greatest_1;
  for (const auto& scores : scores_BK) {
    if (scores.dim() != 2)
      throw std::invalid_argument("sinkhorn_knopp: scores must be [samples, prototypes]");
    q_BK.push_back(scores.to(torch::kFloat32).div(temperature));
    const bool is_empty = scores.size(0) == 0;
    u_B1.push_back(is_empty ? torch::empty({0, 1}, q_BK.back().options()) : q_BK.back().amax(1, true));
    greatest_1.push_back(
        is_empty ? torch::full({1}, -std::numeric_limits<float>::infinity(), q_BK.back().options())
                 : u_B1.back().max().view({1}));
  }
  const auto greatest = shards.max(greatest_1);
  for (std::size_t i = 0; i < q_BK.size(); ++i) {
    q_BK[i].sub_(u_B1[i]).exp_();
    u_B1[i] = (u_B1[i] - greatest).exp();
  }
  const auto prototypes = static_cast<double>(scores_BK.front().size(1));
  torch::Tensor r_K1;
  for (int iteration = 0; iteration < iterations; ++iteration) {
    // Each prototype's share becomes 1/K …
    std::vector<torch::Tensor> mass_K1;
    for (std::size_t i = 0; i < q_BK.size(); ++i) mass_K1.push_back(q_BK[i].t().mm(u_B1[i]));
    r_K1 = shards.sum(std::move(mass_K1)).mul_(prototypes).clamp_min_(floor).reciprocal_();
    // … then each sample's 1/(all samples), a factor that the last step takes out again.
    for (std::size_t i = 0; i < q_BK.size(); ++i) u_B1[i] = q_BK[i].mm(r_K1).clamp_min_(floor).reciprocal_();
  }
  for (std::size_t i = 0; i < q_BK.size(); ++i) q_BK[i].mul_(u_B1[i]).mul_(r_K1.t());
  return q_BK;
}

torch::Tensor sinkhorn_knopp(const torch::Tensor& scores_BK, double temperature, int iterations,
                             Collective& ranks) {
  return sinkhorn_knopp(std::vector{scores_BK}, temperature, iterations, Shards(ranks, ranks.ranks()))
      .front();
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
