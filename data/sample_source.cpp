#include "data/sample_source.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <utility>

#include "data/file_listing.h"
#include "data/file_set.h"
#include "data/subset.h"
#include "storage/shard.h"
#include "storage/tar_pictures.h"
#include "storage/tar_set.h"

namespace paddock::data {
namespace {

using storage::Disk;
using storage::FileFacts;
namespace fs = storage::fs;

constexpr const char* kPictures = "pictures (.png, .jpg, .jpeg)";

std::string count_of(std::uint64_t n, const std::string& what) {
  return std::to_string(n) + " " + what + (n == 1 ? "" : "s");
}

std::string passed_over(std::uint64_t n, const std::string& first) {
  if (n == 0) return "";
  return "; " + count_of(n, "other file") + (n == 1 ? " was" : " were") + " passed over, the first: " + first;
}

Result<Source> made(SampleSetPtr set, const fs::path& path, const std::string& where,
                    const std::string& rest) {
  if (set->size() == 0) return fail(Code::kInvalid, path.string() + " holds no " + kPictures + where + rest);
  std::string about = count_of(set->size(), "picture") + where + rest;
  return Source{std::move(set), std::move(about)};
}

Result<Source> open_tars(Disk& disk, const fs::path& dir, const std::vector<std::string>& names,
                         const FolderFiles& beside, const SourceOptions& options) {
  const auto open = [&] {
    return storage::TarSet::open(disk, dir, names,
                                 {.spare_dir = options.index_dir,
                                  .part = options.part,
                                  .parts = options.parts,
                                  .progress = options.progress});
  };
  auto set = storage::read_patiently(options.patience, open, [] {});
  if (!set) return tl::unexpected(set.error());
  const auto shared = std::make_shared<const storage::TarSet>(*std::move(set));
  const std::uint64_t others = shared->passed_over() + beside.passed_over;
  return made(shared, dir, " in " + count_of(names.size(), "tar file"),
              passed_over(others, shared->passed_over() > 0 ? shared->first_passed_over()
                                                            : beside.first_passed_over));
}

Result<Source> open_folder(Disk& disk, const fs::path& dir, const SourceOptions& options) {
  const auto list = [&] { return list_folder(disk, dir, options.threads); };
  TRY_ASSIGN(const FolderFiles files, storage::read_patiently(options.patience, list, [] {}), "listing");
  if (!files.tars.empty() && !files.pictures.empty())
    return fail(Code::kInvalid,
                dir.string() + " holds both pictures (" + files.pictures.front().path + ") and tar files (" +
                    files.tars.front() +
                    "), and which to learn from cannot be told: give each a folder of its own");
  if (!files.tars.empty()) return open_tars(disk, dir, files.tars, files, options);
  return made(std::make_shared<const FileSet>(disk, dir, files.pictures), dir,
              files.pictures.empty() ? " and no tar files" : "",
              passed_over(files.passed_over, files.first_passed_over));
}

// Ours by either of the files that only our writer makes: an unfinished set is named as such, not read as
// anybody's tars.
Result<bool> is_shard_set(Disk& disk, const fs::path& dir) {
  for (const char* name : {"index.xxh128", "shard-000000.jsonl"}) {
    TRY_ASSIGN(const bool is_there, disk.exists(dir / name), "opening a folder");
    if (is_there) return true;
  }
  return false;
}

Result<Source> open_shards(Disk& disk, const fs::path& dir, const SourceOptions& options) {
  const auto open = [&] { return storage::ShardSet::open(disk, dir); };
  auto set = storage::read_patiently(options.patience, open, [] {});
  if (!set) return tl::unexpected(set.error());
  return made(std::make_shared<const storage::ShardSet>(*std::move(set)), dir, " in shards", "");
}

Result<Source> open_file(Disk& disk, const fs::path& path, const SourceOptions& options) {
  if (path.extension() == ".tar")
    return open_tars(disk, path.parent_path(), {path.filename().string()}, {}, options);
  if (storage::is_picture_name(path.filename().string()))
    return fail(Code::kInvalid, path.string() + " is one picture: give the folder that it lies in");
  constexpr std::array<std::string_view, 9> kPacked{".gz",  ".tgz", ".bz2", ".xz",     ".zst",
                                                    ".zip", ".7z",  ".rar", ".parquet"};
  if (std::ranges::find(kPacked, path.extension().string()) != kPacked.end())
    return fail(Code::kInvalid, path.string() +
                                    " is packed in a way that is not read: unpack it, to a plain tar or a "
                                    "folder");
  const auto read = [&] { return read_list(disk, path, options.threads); };
  const auto files = storage::read_patiently(options.patience, read, [] {});
  if (!files) return tl::unexpected(files.error());
  return made(std::make_shared<const FileSet>(disk, path.parent_path(), *files), path, " by a list", "");
}

Result<bool> is_folder(Disk& disk, const fs::path& path) {
  const auto facts = disk.look(path);
  if (!facts && facts.error().code == Code::kNotFound) return false;
  if (!facts) return tl::unexpected(facts.error());
  return facts->kind == FileFacts::Kind::kFolder;
}

struct Paths {
  fs::path train, test;  // test empty: none
};

// `data` itself, or the two folders in it.
Result<Paths> paths_in(Disk& disk, const fs::path& data) {
  TRY_ASSIGN(const bool has_train, is_folder(disk, data / "train"), "opening data");
  TRY_ASSIGN(const bool has_test, is_folder(disk, data / "test"), "opening data");
  if (has_train && has_test) return Paths{data / "train", data / "test"};
  if (has_train) {
    TRY_ASSIGN(const bool is_ours, is_shard_set(disk, data / "train"), "opening data");
    if (is_ours) return Paths{data / "train", {}};
  }
  return Paths{data, {}};
}

Result<void> hold_out(Splits& splits, double fraction) {
  const SampleSetPtr whole = splits.train;
  const auto size = static_cast<double>(whole->size());
  const auto held = static_cast<std::uint64_t>(std::max(1.0, std::floor(size * fraction)));
  if (held >= whole->size())
    return fail(Code::kInvalid,
                "heldout_fraction leaves nothing to learn from of " + count_of(whole->size(), "picture"));
  splits.test = std::make_shared<const Subset>(whole, 0, held);
  splits.train = std::make_shared<const Subset>(whole, held, whole->size() - held);
  splits.about.push_back("test: " + count_of(held, "picture") + " of them, held out");
  return {};
}

}  // namespace

Result<Source> open_source(Disk& disk, const fs::path& path, const SourceOptions& options) {
  TRY_ASSIGN(const FileFacts facts, disk.look(path), "opening a source of pictures");
  if (facts.kind == FileFacts::Kind::kFile) return open_file(disk, path, options);
  if (facts.kind == FileFacts::Kind::kOther)
    return fail(Code::kInvalid, path.string() + " is neither a file nor a folder");
  TRY_ASSIGN(const bool is_ours, is_shard_set(disk, path), "opening a source of pictures");
  return is_ours ? open_shards(disk, path, options) : open_folder(disk, path, options);
}

Result<Splits> open_splits(Disk& disk, const SplitOptions& options) {
  if (!options.data_test.empty() && options.heldout_fraction > 0)
    return fail(Code::kInvalid, "data_test and heldout_fraction both say what is held out: give one of them");
  TRY_ASSIGN(Paths paths, paths_in(disk, options.data), "data");
  if (!options.data_test.empty()) paths.test = options.data_test;
  const bool is_drawn = options.heldout_fraction > 0;
  if (options.needs_test && !is_drawn && paths.test.empty())
    return fail(
        Code::kInvalid,
        "data: " + options.data +
            " has no test/, and pictures that are held out are needed: give data_test or heldout_fraction" +
            (options.or_else.empty() ? "" : ", or " + options.or_else));
  const auto open = [&](const fs::path& path, const char* name) {
    SourceOptions source = options.source;
    if (!source.index_dir.empty()) source.index_dir /= name;
    return open_source(disk, path, source);
  };
  TRY_ASSIGN(Source train, open(paths.train, "train"), "data");
  Splits splits{.train = std::move(train.set), .test = nullptr, .about = {"train: " + train.about}};
  if (is_drawn) {
    TRY(hold_out(splits, options.heldout_fraction), "data");
  } else if (options.needs_test) {
    TRY_ASSIGN(Source test, open(paths.test, "test"), options.data_test.empty() ? "data" : "data_test");
    splits.test = std::move(test.set);
    splits.about.push_back("test: " + test.about);
  }
  return splits;
}

}  // namespace paddock::data
