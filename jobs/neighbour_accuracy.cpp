// Letters: N pictures, D width of the network.
#include "jobs/neighbour_accuracy.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "data/decode.h"
#include "data/subset.h"
#include "jobs/evaluate/features.h"
#include "jobs/evaluate/nearest_neighbours.h"
#include "jobs/evaluate/pictures.h"
#include "jobs/parallel_for.h"
#include "jobs/threads.h"
#include "jobs/value_or_throw.h"

namespace paddock::jobs {
namespace {

constexpr std::uint64_t kBankMax = 2'000, kJudgedMax = 1'000;
constexpr std::int64_t kNeighbours = 20;
constexpr double kTemperature = .07, kCropRatio = .875;
// Pictures that go through the network together: constant, so that ranks change no bit.
constexpr std::int64_t kChunk = 50;

// Rows of `part` that have a label and could be read, with their labels.
struct Labelled {
  evaluate::FeatureTable rows;
  std::vector<std::int32_t> labels;
};

Labelled labelled(const torch::Tensor& features, const std::vector<std::int32_t>& labels) {
  const auto dense = features.contiguous();
  const std::int64_t width = dense.size(1) - 1;
  Labelled result{{static_cast<std::size_t>(width), {}}, {}};
  for (std::int64_t i = 0; i < dense.size(0); ++i) {
    const float* row = dense.const_data_ptr<float>() + i * (width + 1);
    const std::int32_t label = labels[static_cast<std::size_t>(i)];
    if (label < 0 || row[width] == 0) continue;
    result.rows.values.insert(result.rows.values.end(), row, row + width);
    result.labels.push_back(label);
  }
  result.rows = evaluate::l2_normalised(std::move(result.rows));
  return result;
}

}  // namespace

NeighbourAccuracy::NeighbourAccuracy(const TrainingPlan& plan, data::SampleSetPtr train,
                                     data::SampleSetPtr test, torch::Device device,
                                     std::function<void()> heartbeat)
    : plan_(plan), device_(device), heartbeat_(std::move(heartbeat)) {
  bank_ = part_of(std::move(train), kBankMax);
  judged_ = part_of(std::move(test), kJudgedMax);
}

NeighbourAccuracy::Part NeighbourAccuracy::part_of(data::SampleSetPtr set, std::uint64_t count) {
  const std::uint64_t size = std::min(count, set->size());
  Part part{std::make_shared<const data::Subset>(std::move(set), 0, size), {}};
  for (std::uint64_t i = 0; i < size; ++i) {
    const std::string label = value_or_throw(part.set->about(i), "looking for labels").label;
    auto known = std::ranges::find(classes_, label);
    if (label.empty()) {
      part.labels.push_back(-1);
      continue;
    }
    if (known == classes_.end()) known = classes_.insert(classes_.end(), label);
    part.labels.push_back(static_cast<std::int32_t>(known - classes_.begin()));
  }
  return part;
}

bool NeighbourAccuracy::is_possible() const {
  const auto has_label = [](std::int32_t label) { return label >= 0; };
  return classes_.size() >= 2 && std::ranges::any_of(bank_.labels, has_label) &&
         std::ranges::any_of(judged_.labels, has_label);
}

torch::Tensor NeighbourAccuracy::features_of(const Part& part, const model::VisionTransformer& backbone,
                                             model::Collective& ranks) const {
  const auto count = static_cast<std::int64_t>(part.set->size());
  const std::int64_t width = backbone.options().embed_dim;
  auto features = torch::zeros({count, width + 1}, torch::kFloat32);
  const evaluate::EvalTransform transform{static_cast<int>(plan_.crops.global_size), kCropRatio, false};
  for (std::int64_t first = ranks.rank() * kChunk; first < count; first += ranks.ranks() * kChunk) {
    heartbeat_();
    std::vector<std::optional<data::Image>> squares(
        static_cast<std::size_t>(std::min(kChunk, count - first)));
    parallel_for(squares.size(), threads_of_this_rank(), [&](std::size_t i) {
      const auto file = part.set->read_picture(static_cast<std::uint64_t>(first) + i);
      if (!file) return;
      const auto picture = data::decode_image(file->view(), {}, plan_.normalization.channels());
      if (picture) squares[i] = evaluate::square_of(*picture, transform);
    });
    std::vector<const data::Image*> readable;
    std::vector<std::int64_t> rows;
    for (std::size_t i = 0; i < squares.size(); ++i) {
      if (!squares[i]) continue;
      readable.push_back(&*squares[i]);
      rows.push_back(first + static_cast<std::int64_t>(i));
    }
    if (rows.empty()) continue;
    const auto batch = evaluate::as_batch_BCHW(readable, plan_.normalization).to(device_);
    const auto cls = backbone.forward_features(batch).cls_BD.to(torch::kCPU, torch::kFloat32);
    features.index_copy_(0, torch::tensor(rows, torch::kInt64),
                         torch::cat({cls, torch::ones({cls.size(0), 1})}, 1));
  }
  features = features.to(device_);
  ranks.all_reduce_sum(features);  // each row is one rank's; the others add zeros
  return features.to(torch::kCPU);
}

NeighbourAccuracy::Measured NeighbourAccuracy::measure(const model::VisionTransformer& backbone,
                                                       model::Collective& ranks) const {
  const torch::NoGradGuard no_grad;
  const Labelled bank = labelled(features_of(bank_, backbone, ranks), bank_.labels);
  const Labelled judged = labelled(features_of(judged_, backbone, ranks), judged_.labels);
  Measured measured{0, static_cast<std::int64_t>(bank.labels.size()),
                    static_cast<std::int64_t>(judged.labels.size())};
  if (bank.labels.empty() || judged.labels.empty()) return measured;
  const auto neighbours = evaluate::nearest_rows(judged.rows, bank.rows, kNeighbours, threads_of_this_rank());
  const auto votes =
      evaluate::classify(neighbours, bank.labels, classes_.size(), {kNeighbours}, kTemperature);
  std::int64_t right = 0;
  for (std::size_t i = 0; i < judged.labels.size(); ++i)
    right += votes.front().predictions[i].label == judged.labels[i] ? 1 : 0;
  measured.accuracy = static_cast<double>(right) / static_cast<double>(measured.judged);
  return measured;
}

}  // namespace paddock::jobs
