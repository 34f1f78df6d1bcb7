// jobs/curate/curation.h – one run of the stage: what it knows, and its steps in order.
// Each step leaves in `fates_` what became of the paths it decided about; what is undecided goes on to the
// next step. The steps are in three files: curation_duplicates.cpp, curation_split.cpp and
// curation_output.cpp. Threads: one owner.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "jobs/curate/dataset_writer.h"
#include "jobs/curate/descriptor.h"
#include "jobs/curate/held_out.h"
#include "jobs/curate/pool.h"
#include "jobs/curate/preparation.h"
#include "jobs/curate/provenance.h"
#include "jobs/report_channel.h"
#include "jobs/spec/curate.h"
#include "jobs/threads.h"

namespace paddock::curate {

// Pairs a similarity join may hold in memory: sixteen bytes each, more or less.
inline constexpr std::size_t kEdgesMax = 100'000'000;

// A picture that is in the running: the one path that stands for its pixels.
struct Picture {
  std::uint32_t file = 0;  // its path
  std::uint32_t row = 0;   // of the prepared pool
  std::string label;       // empty when its copies lie in folders of different classes
};

// What of the options is part of a dataset's identity: all but where pool and model lie.
nlohmann::ordered_json identity_of(const spec::CurateOptions& options);

class Curation {
 public:
  Curation(const spec::CurateOptions& options, std::filesystem::path dir, jobs::ReportChannel& report)
      : options_(options), dir_(std::move(dir)), report_(report), threads_(jobs::threads_of_this_rank()) {}

  std::string run() {
    list();
    prepare();
    drop_same_pixels();
    embed();
    drop_near_duplicates();
    hold_out_and_select();
    return write();
  }

 private:
  void list();
  void prepare();
  void drop_same_pixels();
  void embed();
  void drop_near_duplicates();
  void hold_out_and_select();
  HeldOut split(const Embeddings& kept);
  void select_from(const std::vector<std::uint32_t>& candidates, const Embeddings& kept);
  std::vector<std::string> classes();
  std::vector<DatasetSample> samples(Side side, const std::set<std::string>& classes) const;
  nlohmann::ordered_json about() const;
  std::string write();

  void mark(std::uint32_t file, Stage stage, std::uint32_t partner, std::optional<double> similarity = {});
  bool is_seed(const Picture& picture) const;
  // Largest first: pixels, then bytes, then path. The one kept of a group.
  std::vector<std::uint32_t> best_first() const;
  std::vector<std::string> contents() const;

  const spec::CurateOptions& options_;
  const std::filesystem::path dir_;
  jobs::ReportChannel& report_;
  const int threads_;

  std::vector<PoolFile> files_;
  std::vector<Fate> fates_;                         // of each file
  std::vector<std::uint32_t> distinct_;             // files, one for each content
  std::vector<std::set<std::string>> top_folders_;  // of each distinct content
  std::optional<PreparedPool> prepared_;
  std::vector<Picture> pictures_;         // shrinks from stage to stage; in path order
  std::optional<Embeddings> embeddings_;  // of pictures_
  std::vector<LeakLine> leaks_;
  std::string embedding_name_ = kDescriptorName;
  nlohmann::ordered_json counts_;
};

}  // namespace paddock::curate
