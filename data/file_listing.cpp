#include "data/file_listing.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "storage/tar_pictures.h"

namespace paddock::data {
namespace {

using storage::Disk;
using storage::FileFacts;
namespace fs = storage::fs;

constexpr std::uint64_t kListBytesMax = 64ull << 30;
constexpr std::uint64_t kReadableLineBytesMax = 4'096;  // PATH_MAX: no path is longer

// work(i) for every i in [0, n), on up to `threads` threads.
template <typename Work>
void for_all(std::size_t n, int threads, const Work& work) {
  constexpr std::size_t kAtOnce = 16;
  std::atomic<std::size_t> next{0};
  const auto run = [&] {
    for (std::size_t begin = next.fetch_add(kAtOnce); begin < n; begin = next.fetch_add(kAtOnce))
      for (std::size_t i = begin; i < std::min(n, begin + kAtOnce); ++i) work(i);
  };
  std::vector<std::jthread> helpers;
  const std::size_t wanted =
      std::min(static_cast<std::size_t>(std::max(1, threads)), (n + kAtOnce - 1) / kAtOnce);
  for (std::size_t i = 1; i < wanted; ++i) helpers.emplace_back(run);
  run();
}

// The lowest-numbered error, so that it is the same one every time.
Result<void> first_error(const std::vector<std::optional<Error>>& errors) {
  for (const auto& error : errors)
    if (error) return tl::unexpected(*error);
  return {};
}

// A folder on the way down, and those it lies in: a link back to one of them would never end.
struct Folder {
  std::string path;  // "" or ending in '/'
  std::uint64_t device = 0, inode = 0;
  std::shared_ptr<const Folder> above;

  bool is_inside(const FileFacts& other) const {
    for (const Folder* at = this; at != nullptr; at = at->above.get())
      if (at->device == other.device && at->inode == other.inode) return true;
    return false;
  }
};
using FolderPtr = std::shared_ptr<const Folder>;

struct Entry {
  FolderPtr folder;
  std::string path;
  std::optional<FileFacts> facts;  // nothing: a link that leads nowhere, or gone by now
};

// All folders of one depth at a time: their names, then what the names are.
class Walk {
 public:
  Walk(Disk& disk, const fs::path& dir, int threads) : disk_(disk), dir_(dir), threads_(threads) {}

  Result<FolderFiles> run() {
    TRY_ASSIGN(const FileFacts facts, disk_.look(dir_), "listing");
    std::vector<FolderPtr> folders{
        std::make_shared<const Folder>(Folder{"", facts.device, facts.inode, nullptr})};
    while (!folders.empty()) {
      TRY_ASSIGN(std::vector<Entry> entries, entries_of(folders), "listing");
      TRY(look_at(entries), "listing");
      folders = sort_out(std::move(entries));
    }
    std::ranges::sort(found_.pictures, {}, &ListedFile::path);
    std::ranges::sort(found_.tars);
    return std::move(found_);
  }

 private:
  Result<std::vector<Entry>> entries_of(const std::vector<FolderPtr>& folders) {
    std::vector<std::vector<std::string>> names(folders.size());
    std::vector<std::optional<Error>> errors(folders.size());
    for_all(folders.size(), threads_, [&](std::size_t i) {
      auto listed = disk_.list(dir_ / folders[i]->path);
      if (listed)
        names[i] = *std::move(listed);
      else
        errors[i] = listed.error();
    });
    TRY(first_error(errors), "a folder");
    std::vector<Entry> entries;
    for (std::size_t i = 0; i < folders.size(); ++i)
      for (const std::string& name : names[i])
        if (!name.starts_with('.')) entries.push_back({folders[i], folders[i]->path + name, {}});
    return entries;
  }

  Result<void> look_at(std::vector<Entry>& entries) {
    std::vector<std::optional<Error>> errors(entries.size());
    for_all(entries.size(), threads_, [&](std::size_t i) {
      const auto facts = disk_.look(dir_ / entries[i].path);
      if (facts)
        entries[i].facts = *facts;
      else if (facts.error().code != Code::kNotFound)
        errors[i] = facts.error();
    });
    return first_error(errors);
  }

  std::vector<FolderPtr> sort_out(std::vector<Entry> entries) {
    std::vector<FolderPtr> folders;
    for (Entry& entry : entries) {
      using Kind = FileFacts::Kind;
      const Kind kind = entry.facts ? entry.facts->kind : Kind::kOther;
      if (kind == Kind::kFolder && !entry.folder->is_inside(*entry.facts))
        folders.push_back(std::make_shared<const Folder>(
            Folder{entry.path + "/", entry.facts->device, entry.facts->inode, entry.folder}));
      else if (kind == Kind::kFile && storage::is_picture_name(entry.path))
        found_.pictures.push_back({std::move(entry.path), entry.facts->bytes, entry.facts->modified_ns});
      else if (kind == Kind::kFile && entry.path.ends_with(".tar"))
        found_.tars.push_back(std::move(entry.path));
      else if (kind != Kind::kFile || !entry.path.ends_with(".paddock-index"))
        pass_over(entry.path);
    }
    return folders;
  }

  void pass_over(const std::string& path) {
    if (found_.passed_over++ == 0 || path < found_.first_passed_over) found_.first_passed_over = path;
  }

  Disk& disk_;
  const fs::path dir_;
  const int threads_;
  FolderFiles found_;
};

struct Line {
  std::string_view path;
  std::uint64_t number = 0;  // from 1
};

// Nothing: a line that can be no path.
std::optional<std::vector<Line>> lines_of(std::string_view text) {
  std::vector<Line> lines;
  for (std::uint64_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.size() > kReadableLineBytesMax || line.find('\0') != std::string_view::npos) return std::nullopt;
    if (!line.empty()) lines.push_back({line, number});
  }
  return lines;
}

}  // namespace

Result<FolderFiles> list_folder(Disk& disk, const fs::path& dir, int threads) {
  return Walk(disk, dir, threads).run();
}

Result<std::vector<ListedFile>> read_list(Disk& disk, const fs::path& list, int threads) {
  TRY_ASSIGN(const storage::Bytes text, storage::read_file(disk, list, kListBytesMax), "reading a list");
  const auto lines = lines_of(text.text());
  if (!lines)
    return fail(
        Code::kInvalid,
        list.string() + " is neither a tar file (NAME.tar) nor a text with one picture's path a line");
  std::vector<ListedFile> files(lines->size());
  std::vector<std::optional<Error>> errors(files.size());
  for_all(files.size(), threads, [&](std::size_t i) {
    files[i].path = (*lines)[i].path;
    const auto facts = disk.look(list.parent_path() / files[i].path);
    if (!facts)
      errors[i] = facts.error();
    else if (facts->kind != FileFacts::Kind::kFile)
      errors[i] = Error{Code::kNotFound, files[i].path + " is no file"};
    else
      files[i].bytes = facts->bytes, files[i].modified_ns = facts->modified_ns;
  });
  const auto is_error = [](const auto& error) { return error.has_value(); };
  const auto first = std::find_if(errors.begin(), errors.end(), is_error);
  if (first == errors.end()) return files;
  const auto missing = std::count_if(errors.begin(), errors.end(), is_error);
  const std::uint64_t number = (*lines)[static_cast<std::size_t>(first - errors.begin())].number;
  const Code code = (*first)->code == Code::kNotFound ? Code::kInvalid : (*first)->code;
  return fail(code, list.string() + ":" + std::to_string(number) + ": " + (*first)->message + " (" +
                        std::to_string(missing) + " of " + std::to_string(files.size()) +
                        " paths cannot be had)");
}

}  // namespace paddock::data
