#include "jobs/curate/preparation.h"

#include <algorithm>
#include <cstdio>

#include "jobs/curate/descriptor.h"
#include "jobs/curate/prepared_picture.h"
#include "jobs/parallel_for.h"
#include "jobs/value_or_throw.h"
#include "storage/disk.h"
#include "storage/hash.h"

namespace paddock::curate {
namespace fs = std::filesystem;

namespace {

// Pictures a chunk: a kill costs at most this many decodes again, and a chunk is about a megabyte.
constexpr std::size_t kChunkPictures = 128;

fs::path chunk_path(const fs::path& work, std::size_t chunk) {
  char name[32];
  std::snprintf(name, sizeof name, "prepared-%06zu", chunk);
  return work / name;
}

// What a chunk is made of: the rules and the contents in it, in order.
std::string chunk_key(const std::vector<PoolFile>& files, std::span<const std::uint32_t> members,
                      const spec::CurateDecode& rules) {
  storage::Hasher hasher;
  hasher.update(preparation_key(rules));
  for (const std::uint32_t member : members) hasher.update(files[member].content);
  return hasher.hex();
}

std::vector<PreparedPicture> prepare_chunk(const fs::path& root, const std::vector<PoolFile>& files,
                                           std::span<const std::uint32_t> members,
                                           const spec::CurateDecode& rules, int threads) {
  std::vector<PreparedPicture> pictures(members.size());
  jobs::parallel_for(members.size(), threads, [&](std::size_t i) {
    const PoolFile& file = files[members[i]];
    const std::vector<std::byte> bytes = read_pool_file(root, file.path);
    // The bytes must be those that were hashed, or duplicates would be decided on one picture and another be
    // kept.
    if (storage::xxh3_hex(bytes) != file.content)
      throw std::runtime_error("curate: " + file.path +
                               " changed while the pool was being read; start again");
    pictures[i] = prepare_picture(bytes, rules);
  });
  return pictures;
}

}  // namespace

std::vector<std::byte> PreparedPool::png(std::size_t row) const {
  storage::RealDisk disk;
  const PictureFacts& picture = facts[row];
  const auto file =
      jobs::value_or_throw(disk.open(chunk_path(work, picture.chunk)), "reading a prepared picture");
  std::vector<std::byte> bytes(picture.png_bytes);
  jobs::value_or_throw(file->read_at(picture.png_offset, bytes), "reading a prepared picture");
  return bytes;
}

PreparedPool prepare_pool(const fs::path& root, const std::vector<PoolFile>& files,
                          const std::vector<std::uint32_t>& distinct, const spec::CurateDecode& rules,
                          const fs::path& work, int threads, const PreparationProgress& progress) {
  storage::RealDisk disk;
  jobs::value_or_throw(storage::make_dirs(disk, work), "making the work folder");
  PreparedPool pool{{}, Embeddings(kDescriptorDim), work};
  const std::vector<std::int16_t> nothing(pool.descriptors.dim(), 0);
  std::size_t reused = 0;
  for (std::size_t first = 0; first < distinct.size(); first += kChunkPictures) {
    const auto members =
        std::span(distinct).subspan(first, std::min(kChunkPictures, distinct.size() - first));
    const std::size_t number = first / kChunkPictures;
    const fs::path path = chunk_path(work, number);
    const std::string key = chunk_key(files, members, rules);
    std::optional<Chunk> chunk = read_chunk(path, key);
    if (chunk) {
      reused += members.size();
    } else {
      write_chunk(path, key, prepare_chunk(root, files, members, rules, threads));
      chunk = read_chunk(path, key);
      if (!chunk)
        throw std::runtime_error("curate: " + path.string() + " does not read back as it was written");
    }
    for (std::size_t i = 0; i < members.size(); ++i) {
      PreparedPicture& picture = chunk->pictures[i];
      pool.descriptors.add_row(picture.descriptor.empty() ? nothing : picture.descriptor);
      pool.facts.push_back({picture.width, picture.height, std::move(picture.pixels),
                            std::move(picture.refused), static_cast<std::uint32_t>(number),
                            chunk->png_offsets[i], picture.png.size()});
    }
    progress(first + members.size(), reused);
  }
  return pool;
}

}  // namespace paddock::curate
