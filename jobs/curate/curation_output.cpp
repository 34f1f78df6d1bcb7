// The last step: labels, order, and the dataset folder.
#include <algorithm>
#include <map>
#include <stdexcept>

#include "base/random.h"
#include "jobs/curate/curation.h"

namespace paddock::curate {

using nlohmann::ordered_json;

ordered_json identity_of(const spec::CurateOptions& options) {
  // The pool's contents are in the provenance by their hashes, the model in the embedding's name.
  ordered_json identity = spec::curate_table().to_json(options);
  identity.erase("pool");
  identity.erase("model");
  return identity;
}

std::vector<std::string> Curation::classes() {
  std::map<std::string, std::size_t> sizes;
  for (const Picture& picture : pictures_)
    if (!picture.label.empty() && is_kept(fates_[picture.file].stage)) ++sizes[picture.label];
  for (const std::string& name : options_.classes)
    if (!sizes.contains(name))
      throw std::invalid_argument("curate: classes: no picture of a folder '" + name +
                                  "' is left in the dataset");
  std::vector<std::string> classes;
  for (const auto& [name, size] : sizes) {
    const bool is_wanted =
        options_.classes.empty() ||
        std::find(options_.classes.begin(), options_.classes.end(), name) != options_.classes.end();
    if (is_wanted && size >= static_cast<std::size_t>(options_.min_class)) classes.push_back(name);
  }
  return classes;
}

std::vector<DatasetSample> Curation::samples(Side side, const std::set<std::string>& classes) const {
  std::vector<DatasetSample> in_path_order;
  for (const Picture& picture : pictures_) {
    const Stage stage = fates_[picture.file].stage;
    if (!is_kept(stage) || (stage == Stage::kHeldOut) != (side == Side::kTest)) continue;
    in_path_order.push_back({files_[picture.file].path, classes.contains(picture.label) ? picture.label : "",
                             files_[picture.file].content, picture.row});
  }
  std::vector<DatasetSample> ordered(in_path_order.size());
  for (std::size_t i = 0; i < ordered.size(); ++i)
    ordered[i] = in_path_order[permute(i, ordered.size(), static_cast<std::uint64_t>(options_.seed), 0)];
  return ordered;
}

ordered_json Curation::about() const {
  ordered_json about;
  about["format"] = "paddock-dataset";
  about["version"] = 1;
  about["options"] = identity_of(options_);
  about["embedding"] = embedding_name_;
  ordered_json funnel = ordered_json::array();
  for (const FunnelStep& step : funnel_of(fates_))
    funnel.push_back({{"stage", step.stage}, {"dropped", step.dropped}, {"left", step.left}});
  about["funnel"] = std::move(funnel);
  about["counts"] = counts_;
  return about;
}

std::string Curation::write() {
  DatasetContent content;
  content.classes = classes();
  const std::set<std::string> names(content.classes.begin(), content.classes.end());
  content.train = samples(Side::kTrain, names);
  content.test = samples(Side::kTest, names);
  if (content.train.empty()) throw std::invalid_argument("curate: no picture is left to train on");
  for (const Picture& picture : pictures_)
    if (names.contains(picture.label)) fates_[picture.file].label = picture.label;
  content.fates = fates_;
  content.leaks = leaks_;
  content.about = about();
  content.shard_bytes = static_cast<std::uint64_t>(options_.shard_bytes);
  content.png = [&](std::uint32_t row) { return prepared_->png(row); };
  const std::size_t total = content.train.size() + content.test.size();
  return write_dataset(dir_ / "dataset", content, [&](std::size_t written) {
    report_.progress({{"phase", "write"}, {"step", written}, {"steps", total}});
  });
}

}  // namespace paddock::curate
