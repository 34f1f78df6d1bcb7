// Letters: N rows, D components of a feature, R learning rates side by side, C classes.
#include "jobs/evaluate/linear_probe.h"

#include <torch/types.h>

#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>

#include "base/check.h"
#include "base/random.h"
#include "jobs/evaluate/one_thread.h"

namespace paddock::evaluate {
namespace {

torch::Tensor as_tensor_ND(const FeatureTable& table) {
  return torch::from_blob(const_cast<float*>(table.values.data()),
                          {static_cast<std::int64_t>(table.size()), static_cast<std::int64_t>(table.dim)},
                          torch::kFloat32);
}

// The first `count` of a keyed order of [0, n), and the rest.
std::pair<torch::Tensor, torch::Tensor> split_rows(std::int64_t n, std::int64_t count, std::uint64_t seed) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < order.size(); ++i)
    order[i] = static_cast<std::int64_t>(permute(i, order.size(), seed, std::uint64_t{1} << 40));
  const torch::Tensor rows = torch::tensor(order);
  return {rows.slice(0, 0, count), rows.slice(0, count)};
}

torch::Tensor initial_weights_DRC(std::int64_t dim, std::int64_t rates, std::int64_t classes,
                                  std::uint64_t seed) {
  Draws draws(seed, 0, Purpose::kProbe);
  torch::Tensor weights_DC = torch::empty({dim, classes});
  float* weight = weights_DC.data_ptr<float>();
  for (std::int64_t i = 0; i < dim * classes; ++i) weight[i] = static_cast<float>(.01 * draws.normal());
  return weights_DC.unsqueeze(1).expand({dim, rates, classes}).contiguous();
}

struct Probes {
  torch::Tensor weights_DRC;
  torch::Tensor biases_RC;

  torch::Tensor logits_NRC(const torch::Tensor& features_ND) const {
    const auto columns = weights_DRC.size(1) * weights_DRC.size(2);
    return torch::mm(features_ND, weights_DRC.view({-1, columns}))
               .view({-1, weights_DRC.size(1), weights_DRC.size(2)}) +
           biases_RC;
  }
};

// Trains one probe a learning rate, all on the same batches, as DINOv2 does.
Probes fit(const torch::Tensor& features_ND, const torch::Tensor& labels_N, std::int64_t classes,
           const std::vector<double>& learning_rates, const LinearProbeOptions& options) {
  const std::int64_t n = features_ND.size(0);
  const std::int64_t dim = features_ND.size(1);
  const auto rates = static_cast<std::int64_t>(learning_rates.size());
  const std::int64_t batch = std::min(options.batch, n);
  const std::int64_t steps_an_epoch = n / batch;
  const std::int64_t steps = options.epochs * steps_an_epoch;
  const torch::Tensor rate_R1 =
      torch::tensor(learning_rates, torch::kFloat32).view({rates, 1}) * (static_cast<double>(batch) / 256);
  Probes probes{initial_weights_DRC(dim, rates, classes, options.seed), torch::zeros({rates, classes})};
  torch::Tensor weight_momentum_DRC = torch::zeros_like(probes.weights_DRC);
  torch::Tensor bias_momentum_RC = torch::zeros_like(probes.biases_RC);
  std::vector<std::int64_t> chosen(static_cast<std::size_t>(batch));
  for (std::int64_t step = 0; step < steps; ++step) {
    const auto first = static_cast<std::uint64_t>(step % steps_an_epoch * batch);
    for (std::size_t i = 0; i < chosen.size(); ++i)
      chosen[i] = static_cast<std::int64_t>(permute(first + i, static_cast<std::uint64_t>(n), options.seed,
                                                    static_cast<std::uint64_t>(step / steps_an_epoch)));
    const torch::Tensor rows = torch::tensor(chosen);
    const torch::Tensor batch_BD = features_ND.index_select(0, rows);
    const torch::Tensor target_B1C = torch::one_hot(labels_N.index_select(0, rows), classes).unsqueeze(1);
    // The gradient of the mean cross-entropy by the logits, for every probe at once.
    const torch::Tensor error_BRC = (probes.logits_NRC(batch_BD).softmax(-1) - target_B1C) / batch;
    weight_momentum_DRC.mul_(.9).add_(
        torch::mm(batch_BD.t(), error_BRC.reshape({batch, rates * classes})).view({dim, rates, classes}));
    bias_momentum_RC.mul_(.9).add_(error_BRC.sum(0));
    const double cosine =
        .5 * (1 + std::cos(3.14159265358979323846 * static_cast<double>(step) / static_cast<double>(steps)));
    probes.weights_DRC.sub_(weight_momentum_DRC * (rate_R1 * cosine));
    probes.biases_RC.sub_(bias_momentum_RC * (rate_R1 * cosine));
  }
  return probes;
}

}  // namespace

LinearProbeResult linear_probe(const FeatureTable& train, const std::vector<std::int32_t>& labels,
                               std::int64_t classes, const FeatureTable& test,
                               const LinearProbeOptions& options) {
  PADDOCK_REQUIRE(train.size() == labels.size() && train.dim == test.dim, train.size(), labels.size(),
                  test.dim);
  const auto n = static_cast<std::int64_t>(train.size());
  const auto held_out = static_cast<std::int64_t>(static_cast<double>(n) * options.held_out_share);
  if (held_out == 0 || held_out == n)
    throw std::invalid_argument("linear probe: too few labelled train pictures (" + std::to_string(n) +
                                ") to hold some out for choosing the learning rate");
  const torch::NoGradGuard no_gradients;
  const OneThread one_thread;
  const torch::Tensor raw_ND = as_tensor_ND(train);
  const torch::Tensor mean_D = raw_ND.mean(0);
  // A component that never varies says nothing; the floor keeps it from being blown up to noise.
  const torch::Tensor scale_D = (raw_ND.var(0, false) + 1e-8).rsqrt();
  const torch::Tensor features_ND = (raw_ND - mean_D) * scale_D;
  const torch::Tensor labels_N = torch::tensor(labels, torch::kInt64);

  const auto [judged, fitted] = split_rows(n, held_out, options.seed);
  const Probes candidates = fit(features_ND.index_select(0, fitted), labels_N.index_select(0, fitted),
                                classes, options.learning_rates, options);
  const torch::Tensor hits_R = (candidates.logits_NRC(features_ND.index_select(0, judged)).argmax(-1) ==
                                labels_N.index_select(0, judged).unsqueeze(1))
                                   .to(torch::kFloat64)
                                   .mean(0);
  // Ties go to the smallest rate. A rate that diverged gives NaN logits, whose argmax hits no better than
  // chance.
  std::size_t best = 0;
  for (std::size_t r = 1; r < options.learning_rates.size(); ++r)
    if (hits_R[static_cast<std::int64_t>(r)].item<double>() >
        hits_R[static_cast<std::int64_t>(best)].item<double>())
      best = r;

  LinearProbeResult result;
  result.learning_rate = options.learning_rates[best];
  result.held_out_accuracy = hits_R[static_cast<std::int64_t>(best)].item<double>();
  const Probes probe = fit(features_ND, labels_N, classes, {result.learning_rate}, options);
  const torch::Tensor predicted_N = probe.logits_NRC((as_tensor_ND(test) - mean_D) * scale_D)
                                        .argmax(-1)
                                        .flatten()
                                        .to(torch::kInt32)
                                        .contiguous();
  result.predictions.assign(predicted_N.data_ptr<std::int32_t>(),
                            predicted_N.data_ptr<std::int32_t>() + predicted_N.numel());
  return result;
}

}  // namespace paddock::evaluate
