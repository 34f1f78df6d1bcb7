// jobs/curate/pool.h – the files of a folder, in the order everything else is numbered by, with the hash of
// their bytes. Links to files count as paths of their own (they are how collections repeat a picture); links
// to folders are not followed, so that no path is met twice. Nothing is left out: what cannot be read is
// listed with the reason.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace paddock::curate {

struct PoolFile {
  std::string path;  // below the pool, with '/'
  std::uint64_t bytes = 0;
  std::string content;  // hash of the bytes; empty when refused
  std::string refused;  // why it could not be read
};

// Every path below `root`, sorted byte by byte, read and hashed on `threads` threads.
// Throws std::invalid_argument when `root` is not a folder that can be walked, or holds no file.
std::vector<PoolFile> list_pool(const std::filesystem::path& root, int threads);

// The bytes of one file of the pool. Throws std::runtime_error with the path and the reason.
std::vector<std::byte> read_pool_file(const std::filesystem::path& root, const std::string& path);

// The first folder of a path, which is its label; empty for a file directly in the pool.
std::string top_folder(const std::string& path);

}  // namespace paddock::curate
