#include "jobs/curate/curate.h"

#include <stdexcept>

#include "jobs/curate/curation.h"
#include "jobs/curate/dataset_writer.h"
#include "jobs/value_or_throw.h"
#include "storage/disk.h"

namespace paddock::curate {
namespace fs = std::filesystem;

void run_curate(const spec::CurateOptions& options, const fs::path& dir, jobs::ReportChannel& report) {
  const nlohmann::json finished = finished_dataset(dir / "dataset");
  if (!finished.is_null() &&
      finished.value("options", nlohmann::json()) != nlohmann::json(identity_of(options)))
    throw std::invalid_argument("curate: " + dir.string() +
                                " holds a dataset of other options; give this one another folder");
  const std::string hash =
      finished.is_null() ? Curation(options, dir, report).run() : finished.value("hash", "");
  storage::RealDisk disk;
  jobs::value_or_throw(disk.remove_all(dir / "work"), "removing the work folder");
  report.artifact("dataset", fs::absolute(dir / "dataset").string(), hash);
}

}  // namespace paddock::curate
