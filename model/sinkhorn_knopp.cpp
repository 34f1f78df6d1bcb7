#include "model/sinkhorn_knopp.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <stdexcept>
#include <utility>

#include "model/kernels/sinkhorn.h"

namespace paddock::model {

namespace {

constexpr float kFloor = std::numeric_limits<float>::min();

// Q and the factors of its rows, of one shard. The steps of the algorithm, in their order.
class Assignment {
 public:
  virtual ~Assignment() = default;
  // [1]: ln of the greatest Q before its rows' maxima were taken out.
  virtual torch::Tensor greatest() const = 0;
  virtual void begin(const torch::Tensor& greatest_1) = 0;
  // [K, 1]: what the samples give each prototype.
  virtual torch::Tensor mass() = 0;
  // The samples' factors by the prototypes'; and mass() with these.
  virtual torch::Tensor factors_and_mass(const torch::Tensor& r_K1) = 0;
  // The factors, and Q with both: [B, K], rows sum to 1. Used up.
  virtual torch::Tensor factors_and_result(const torch::Tensor& r_K1) = 0;
};

// In LibTorch's operations, on any device.
class PlainAssignment : public Assignment {
 public:
  PlainAssignment(const torch::Tensor& scores_BK, double temperature)
      : q_BK_(scores_BK.to(torch::kFloat32).div(temperature)) {
    u_B1_ = q_BK_.size(0) == 0 ? torch::empty({0, 1}, q_BK_.options()) : q_BK_.amax(1, true);
  }
  torch::Tensor greatest() const override {
    if (q_BK_.size(0) == 0) return torch::full({1}, -std::numeric_limits<float>::infinity(), q_BK_.options());
    return u_B1_.max().view({1});
  }
  void begin(const torch::Tensor& greatest_1) override {
    q_BK_.sub_(u_B1_).exp_();
    u_B1_ = (u_B1_ - greatest_1).exp();
  }
  torch::Tensor mass() override { return q_BK_.t().mm(u_B1_); }
  torch::Tensor factors_and_mass(const torch::Tensor& r_K1) override {
    find_factors(r_K1);
    return mass();
  }
  torch::Tensor factors_and_result(const torch::Tensor& r_K1) override {
    find_factors(r_K1);
    return q_BK_.mul_(u_B1_).mul_(r_K1.t());
  }

 private:
  void find_factors(const torch::Tensor& r_K1) { u_B1_ = q_BK_.mm(r_K1).clamp_min_(kFloor).reciprocal_(); }

  torch::Tensor q_BK_, u_B1_;
};

// On the CPU, one visit of memory a step. Rows are added up in fixed blocks and these in their order, so threads change no bit.
class FusedAssignment : public Assignment {
 public:
  FusedAssignment(const torch::Tensor& scores_BK, double temperature) {
    const auto scores = scores_BK.contiguous();
    q_BK_ = torch::empty(scores.sizes(), torch::kFloat32);
    u_B1_ = torch::empty({scores.size(0), 1}, torch::kFloat32);
    if (scores.scalar_type() == torch::kBFloat16)
      take<Bfloat16>(scores, temperature);
    else
      take<float>(scores.to(torch::kFloat32), temperature);
  }
  torch::Tensor greatest() const override {
    if (u_B1_.size(0) == 0) return torch::full({1}, -std::numeric_limits<float>::infinity());
    return u_B1_.max().view({1});
  }
  void begin(const torch::Tensor& greatest_1) override { u_B1_ = (u_B1_ - greatest_1).exp(); }
  torch::Tensor mass() override {
    return sum_over_blocks([&](float* mass, std::int64_t begin, std::int64_t end) {
      sinkhorn_add_mass(rows(), mass, begin, end);
    });
  }
  torch::Tensor factors_and_mass(const torch::Tensor& r_K1) override {
    const auto* r = r_K1.const_data_ptr<float>();
    return sum_over_blocks([&](float* mass, std::int64_t begin, std::int64_t end) {
      sinkhorn_factors_and_mass(rows(), r, kFloor, mass, begin, end);
    });
  }
  torch::Tensor factors_and_result(const torch::Tensor& r_K1) override {
    const auto* r = r_K1.const_data_ptr<float>();
    at::parallel_for(0, q_BK_.size(0), 1, [&](std::int64_t begin, std::int64_t end) {
      sinkhorn_factors_and_result(rows(), r, kFloor, begin, end);
    });
    return q_BK_;
  }

 private:
  static constexpr std::int64_t kBlockRows = 32, kColumns = 4096;

  template <class T>
  void take(const torch::Tensor& scores, double temperature) {
    const SinkhornScores<T> in{static_cast<const T*>(scores.const_data_ptr()), scores.size(1),
                               static_cast<float>(1 / temperature), q_BK_.mutable_data_ptr<float>(),
                               u_B1_.mutable_data_ptr<float>()};
    at::parallel_for(0, scores.size(0), 1,
                     [&](std::int64_t begin, std::int64_t end) { sinkhorn_exponentials(in, begin, end); });
  }

  SinkhornRows rows() {
    return {q_BK_.mutable_data_ptr<float>(), q_BK_.size(1), u_B1_.mutable_data_ptr<float>()};
  }

  template <class Work>
  torch::Tensor sum_over_blocks(const Work& work) {
    const std::int64_t count = q_BK_.size(0), columns = q_BK_.size(1),
                       blocks = (count + kBlockRows - 1) / kBlockRows;
    const auto masses = torch::zeros({blocks, columns}, torch::kFloat32);
    auto* first = masses.mutable_data_ptr<float>();
    at::parallel_for(0, blocks, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t block = begin; block < end; ++block)
        work(first + block * columns, block * kBlockRows, std::min((block + 1) * kBlockRows, count));
    });
    auto sum = torch::zeros({columns, 1}, torch::kFloat32);
    auto* sums = sum.mutable_data_ptr<float>();
    at::parallel_for(0, columns, kColumns, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t block = 0; block < blocks; ++block)
        for (std::int64_t c = begin; c < end; ++c) sums[c] += first[block * columns + c];
    });
    return sum;
  }

  torch::Tensor q_BK_, u_B1_;
};

std::unique_ptr<Assignment> assignment_of(const torch::Tensor& scores_BK, double temperature,
                                          SinkhornForm form) {
  if (scores_BK.dim() != 2)
    throw std::invalid_argument("sinkhorn_knopp: scores must be [samples, prototypes]");
  if (form == SinkhornForm::kOfDevice && scores_BK.device().is_cpu())
    return std::make_unique<FusedAssignment>(scores_BK, temperature);
  return std::make_unique<PlainAssignment>(scores_BK, temperature);
}

}  // namespace

std::vector<torch::Tensor> sinkhorn_knopp(const std::vector<torch::Tensor>& scores_BK, double temperature,
                                          int iterations, const Shards& shards, SinkhornForm form) {
  const torch::NoGradGuard no_grad;
  std::vector<std::unique_ptr<Assignment>> own;
  std::vector<torch::Tensor> greatest_1, mass_K1;
  for (const auto& scores : scores_BK) {
    own.push_back(assignment_of(scores, temperature, form));
    greatest_1.push_back(own.back()->greatest());
  }
  const auto greatest = shards.max(greatest_1);
  for (const auto& shard : own) {
    shard->begin(greatest);
    mass_K1.push_back(shard->mass());
  }
  const auto prototypes = static_cast<double>(scores_BK.front().size(1));
  // Each prototype's share becomes 1/K …
  const auto prototype_factors = [&] {
    return shards.sum(std::exchange(mass_K1, {})).mul_(prototypes).clamp_min_(kFloor).reciprocal_();
  };
  auto r_K1 = prototype_factors();
  // … then each sample's 1/(all samples), a factor that the last step takes out again.
  for (int iteration = 1; iteration < iterations; ++iteration) {
    for (const auto& shard : own) mass_K1.push_back(shard->factors_and_mass(r_K1));
    r_K1 = prototype_factors();
  }
  std::vector<torch::Tensor> targets_BK;
  for (const auto& shard : own) targets_BK.push_back(shard->factors_and_result(r_K1));
  return targets_BK;
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
