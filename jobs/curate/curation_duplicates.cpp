// The steps that find out what is there, and what is there more than once.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <numeric>
#include <stdexcept>
#include <tuple>

#include "jobs/curate/curation.h"
#include "jobs/curate/linkage.h"
#include "jobs/curate/model_embedding.h"
#include "jobs/curate/similarity_join.h"
#include "jobs/stop_request.h"

namespace paddock::curate {

void Curation::mark(std::uint32_t file, Stage stage, std::uint32_t partner,
                    std::optional<double> similarity) {
  fates_[file].stage = stage;
  fates_[file].partner = files_[partner].path;
  fates_[file].similarity = similarity;
}

void Curation::list() {
  report_.progress({{"phase", "list"}});
  files_ = list_pool(options_.pool, threads_);
  std::map<std::string, std::uint32_t> first_with;  // content → place in distinct_
  for (std::uint32_t f = 0; f < files_.size(); ++f) {
    Fate fate;
    fate.path = files_[f].path;
    fate.content = files_[f].content;
    fates_.push_back(std::move(fate));
    if (!files_[f].refused.empty()) {
      fates_[f].stage = Stage::kRefused;
      fates_[f].reason = files_[f].refused;
      continue;
    }
    const auto [at, is_new] =
        first_with.try_emplace(files_[f].content, static_cast<std::uint32_t>(distinct_.size()));
    if (is_new) {
      distinct_.push_back(f);
      top_folders_.emplace_back();
    } else {
      mark(f, Stage::kSameBytes, distinct_[at->second]);
    }
    top_folders_[at->second].insert(top_folder(files_[f].path));
  }
  for (const std::string& seed : options_.selection.seeds) {
    const bool is_there = std::any_of(files_.begin(), files_.end(), [&](const PoolFile& file) {
      return file.path.starts_with(seed + "/");
    });
    if (!is_there)
      throw std::invalid_argument("curate: selection.seeds: the pool " + options_.pool + " has no folder '" +
                                  seed + "'");
  }
}

void Curation::prepare() {
  const auto begun = std::chrono::steady_clock::now();
  const auto tell = [&](std::size_t done, std::size_t reused) {
    jobs::throw_if_stop_requested();  // the chunks done are on disk
    nlohmann::json progress{
        {"phase", "prepare"}, {"step", done}, {"steps", distinct_.size()}, {"reused", reused}};
    if (done > reused) {  // what an earlier attempt left says nothing about the speed
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
      const double rate = static_cast<double>(done - reused) / std::max(seconds, 1e-3);
      progress["rate"] = std::round(rate * 10) / 10;
      progress["unit"] = "pictures/s";
      progress["seconds_left"] = std::round(static_cast<double>(distinct_.size() - done) / rate);
    }
    report_.progress(progress);
  };
  prepared_ = prepare_pool(options_.pool, files_, distinct_, options_.decode, dir_ / "work", threads_, tell);
  for (std::uint32_t row = 0; row < distinct_.size(); ++row)
    if (!prepared_->facts[row].refused.empty()) {
      fates_[distinct_[row]].stage = Stage::kRefused;
      fates_[distinct_[row]].reason = prepared_->facts[row].refused;
    }
  // A copy of a refused file is refused for the same reason.
  std::map<std::string, std::uint32_t> refused;
  for (const std::uint32_t file : distinct_)
    if (fates_[file].stage == Stage::kRefused) refused.emplace(files_[file].content, file);
  for (Fate& fate : fates_) {
    const auto at = refused.find(fate.content);
    if (fate.stage != Stage::kSameBytes || at == refused.end()) continue;
    fate.stage = Stage::kRefused;
    fate.reason = fates_[at->second].reason;
    fate.partner.clear();
  }
}

void Curation::drop_same_pixels() {
  std::map<std::string, std::uint32_t> best;  // pixels → row; more bytes, then the smaller path
  for (std::uint32_t row = 0; row < distinct_.size(); ++row) {
    const PictureFacts& facts = prepared_->facts[row];
    if (!facts.refused.empty()) continue;
    const auto [at, is_new] = best.try_emplace(facts.pixels, row);
    if (!is_new && files_[distinct_[row]].bytes > files_[distinct_[at->second]].bytes) at->second = row;
  }
  for (std::uint32_t row = 0; row < distinct_.size(); ++row) {
    const PictureFacts& facts = prepared_->facts[row];
    if (!facts.refused.empty()) continue;
    const std::uint32_t kept = best.at(facts.pixels);
    if (kept == row) continue;
    mark(distinct_[row], Stage::kSamePixels, distinct_[kept]);
    top_folders_[kept].insert(top_folders_[row].begin(), top_folders_[row].end());
  }
  std::size_t conflicts = 0;
  for (std::uint32_t row = 0; row < distinct_.size(); ++row) {
    if (fates_[distinct_[row]].stage != Stage::kUndecided) continue;
    std::set<std::string> labels = top_folders_[row];
    if (!options_.classes.empty()) {
      std::erase_if(labels, [&](const std::string& folder) {
        return std::find(options_.classes.begin(), options_.classes.end(), folder) == options_.classes.end();
      });
    }
    conflicts += labels.size() > 1;
    pictures_.push_back({distinct_[row], row, labels.size() == 1 ? *labels.begin() : ""});
  }
  if (pictures_.empty())
    throw std::invalid_argument("curate: not one file of " + options_.pool + " is a picture that is taken");
  counts_["labels_in_conflict"] = conflicts;
}

void Curation::embed() {
  if (options_.model.empty()) {
    embeddings_.emplace(prepared_->descriptors.dim());
    for (const Picture& picture : pictures_) embeddings_->add_row(prepared_->descriptors.row(picture.row));
    return;
  }
  report_.progress({{"phase", "embed"}, {"steps", pictures_.size()}});
  ModelEmbeddings embedded = embed_with_model(options_.model, pictures_.size(), threads_, [&](std::size_t i) {
    return prepared_->png(pictures_[i].row);
  });
  embeddings_ = std::move(embedded.rows);
  embedding_name_ = std::move(embedded.name);
}

std::vector<std::uint32_t> Curation::best_first() const {
  std::vector<std::uint32_t> order(pictures_.size());
  std::iota(order.begin(), order.end(), 0u);
  const auto key = [&](std::uint32_t p) {
    const PictureFacts& facts = prepared_->facts[pictures_[p].row];
    return std::tuple(-static_cast<std::int64_t>(facts.width) * facts.height,
                      -static_cast<std::int64_t>(files_[pictures_[p].file].bytes), pictures_[p].file);
  };
  std::sort(order.begin(), order.end(), [&](std::uint32_t x, std::uint32_t y) { return key(x) < key(y); });
  return order;
}

std::vector<std::string> Curation::contents() const {
  std::vector<std::string> contents;
  for (const Picture& picture : pictures_) contents.push_back(files_[picture.file].content);
  return contents;
}

void Curation::drop_near_duplicates() {
  report_.progress({{"phase", "near duplicates"}, {"steps", pictures_.size()}});
  const auto edges = join_above(*embeddings_, at_least(options_.duplicates.threshold), threads_, kEdgesMax);
  const Groups groups = link(linkage_named(options_.duplicates.linkage), best_first(), edges);
  const std::vector<std::uint32_t> sizes = groups.sizes();
  counts_["near_duplicate_pairs"] = edges.size();
  counts_["near_duplicate_group_max"] = *std::max_element(sizes.begin(), sizes.end());
  std::vector<Picture> kept;
  Embeddings kept_embeddings(embeddings_->dim());
  for (std::uint32_t p = 0; p < pictures_.size(); ++p) {
    const std::uint32_t representative = groups.representative[p];
    if (representative == p) {
      kept.push_back(pictures_[p]);
      kept_embeddings.add_row(embeddings_->row(p));
    } else {
      mark(pictures_[p].file, Stage::kNearDuplicate, pictures_[representative].file,
           as_cosine(embeddings_->similarity(p, representative)));
    }
  }
  pictures_ = std::move(kept);
  embeddings_ = std::move(kept_embeddings);
}

}  // namespace paddock::curate
