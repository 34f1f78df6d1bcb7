#include "jobs/curate/pool.h"

#include <algorithm>
#include <fstream>
#include <stdexcept>
#include <system_error>

#include "jobs/parallel_for.h"
#include "storage/hash.h"
#include "storage/sample_set.h"

namespace paddock::curate {
namespace fs = std::filesystem;

namespace {

std::vector<PoolFile> walk(const fs::path& root) {
  std::vector<PoolFile> files;
  std::error_code error;
  fs::recursive_directory_iterator at(root, error);
  for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    std::error_code unknown;
    const bool is_link = at->is_symlink(unknown);
    if (!is_link && at->is_directory(unknown)) continue;
    PoolFile file;
    file.path = at->path().lexically_relative(root).generic_string();
    if (is_link && at->is_directory(unknown))
      file.refused = "a link to a folder, which is not followed";
    else if (!at->exists(unknown))
      file.refused = "a link to nothing";
    else if (!at->is_regular_file(unknown))
      file.refused = "not a regular file";
    files.push_back(std::move(file));
  }
  if (error) throw std::invalid_argument("curate: pool " + root.string() + ": " + error.message());
  if (files.empty()) throw std::invalid_argument("curate: pool " + root.string() + " holds no file");
  std::sort(files.begin(), files.end(), [](const PoolFile& x, const PoolFile& y) { return x.path < y.path; });
  return files;
}

}  // namespace

std::vector<PoolFile> list_pool(const fs::path& root, int threads) {
  std::vector<PoolFile> files = walk(root);
  jobs::parallel_for(files.size(), threads, [&](std::size_t i) {
    PoolFile& file = files[i];
    if (!file.refused.empty()) return;
    std::error_code error;
    file.bytes = fs::file_size(root / file.path, error);
    if (error) {
      file.refused = error.message();
    } else if (file.bytes > storage::kPictureBytesMax) {
      file.refused = "larger than " + std::to_string(storage::kPictureBytesMax >> 20) + " MiB";
    } else {
      try {
        const std::vector<std::byte> bytes = read_pool_file(root, file.path);
        file.bytes = bytes.size();
        file.content = storage::xxh3_hex(bytes);
      } catch (const std::runtime_error& failure) {
        file.refused = failure.what();
      }
    }
  });
  return files;
}

std::vector<std::byte> read_pool_file(const fs::path& root, const std::string& path) {
  std::ifstream in(root / path, std::ios::binary | std::ios::ate);
  if (!in) throw std::runtime_error("cannot be opened");
  std::vector<std::byte> bytes(static_cast<std::size_t>(std::max<std::streamoff>(in.tellg(), 0)));
  in.seekg(0);
  in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (static_cast<std::size_t>(in.gcount()) != bytes.size())
    throw std::runtime_error("cannot be read to its end");
  return bytes;
}

std::string top_folder(const std::string& path) {
  const std::size_t slash = path.find('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

}  // namespace paddock::curate
