// jobs/curate/preparation.h – all distinct files of a pool prepared, chunk by chunk, continuing where a
// killed run stopped.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "jobs/curate/embeddings.h"
#include "jobs/curate/pool.h"
#include "jobs/spec/curate.h"

namespace paddock::curate {

// What is kept in memory of a prepared picture; its PNG stays in the chunk file.
struct PictureFacts {
  std::int32_t width = 0;
  std::int32_t height = 0;
  std::string pixels;
  std::string refused;
  std::uint32_t chunk = 0;
  std::uint64_t png_offset = 0;
  std::uint64_t png_bytes = 0;
};

struct PreparedPool {
  std::vector<PictureFacts> facts;  // of each distinct file, in the order given
  Embeddings descriptors;           // the same rows; zero for refused ones
  std::filesystem::path work;

  // The shrunk picture of row `row` as a PNG file. Throws std::runtime_error when the work folder has
  // changed.
  std::vector<std::byte> png(std::size_t row) const;
};

// Called after each chunk with the pictures done so far, and how many of those were found prepared.
using PreparationProgress = std::function<void(std::size_t done, std::size_t reused)>;

// `distinct`: indices into `files`, one for each content. Throws std::runtime_error when `work` cannot be
// written.
PreparedPool prepare_pool(const std::filesystem::path& root, const std::vector<PoolFile>& files,
                          const std::vector<std::uint32_t>& distinct, const spec::CurateDecode& rules,
                          const std::filesystem::path& work, int threads,
                          const PreparationProgress& progress);

}  // namespace paddock::curate
