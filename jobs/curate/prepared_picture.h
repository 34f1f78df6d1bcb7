// jobs/curate/prepared_picture.h – a picture after the one costly pass over it: decoded once, shrunk once,
// described. Chunks of prepared pictures are kept in the stage's work folder, so that a killed stage
// continues behind the last one written. A chunk file is private to the stage: its key names what it was made
// from and how, its last line is a hash of all before; a file that does not match is made again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "jobs/curate/embeddings.h"
#include "jobs/spec/curate.h"

namespace paddock::curate {

struct PreparedPicture {
  std::int32_t width = 0;  // of the original, pixels
  std::int32_t height = 0;
  std::string pixels;                    // hash of the original's size and RGB on white
  std::string refused;                   // why not; then everything below is empty
  std::vector<std::int16_t> descriptor;  // in fixed point
  std::vector<std::byte> png;            // short side at most max_side
};

// Decodes, hashes, describes, shrinks and encodes one picture file. A picture that is refused says so; never
// throws for what is in the file.
PreparedPicture prepare_picture(std::span<const std::byte> file, const spec::CurateDecode& rules);

// Names everything a prepared picture depends on besides its bytes.
std::string preparation_key(const spec::CurateDecode& rules);

// Writes atomically and durably. Throws std::runtime_error when the disk refuses.
void write_chunk(const std::filesystem::path& path, const std::string& key,
                 const std::vector<PreparedPicture>& pictures);
// The pictures of a chunk written with the same key, each with the offset of its PNG in the file; nothing
// when the file is absent, of another key, or damaged.
struct Chunk {
  std::vector<PreparedPicture> pictures;
  std::vector<std::uint64_t> png_offsets;
};
std::optional<Chunk> read_chunk(const std::filesystem::path& path, const std::string& key);

}  // namespace paddock::curate
