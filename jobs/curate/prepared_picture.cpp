#include "jobs/curate/prepared_picture.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "data/decode.h"
#include "data/encode.h"
#include "data/resize.h"
#include "jobs/curate/descriptor.h"
#include "jobs/value_or_throw.h"
#include "storage/disk.h"
#include "storage/hash.h"

namespace paddock::curate {
namespace {

constexpr std::string_view kMagic = "paddock prepared pictures 1\n";
constexpr std::size_t kHashBytes = 32;

template <typename Number>
std::span<const std::byte> raw(const Number& number) {
  return std::as_bytes(std::span<const Number, 1>(&number, 1));
}

std::string pixel_hash(const data::Image& picture) {
  storage::Hasher hasher;
  hasher.update(raw(static_cast<std::int32_t>(picture.width)));
  hasher.update(raw(static_cast<std::int32_t>(picture.height)));
  hasher.update(std::as_bytes(std::span(picture.rgb)));
  hasher.update(std::as_bytes(std::span(picture.alpha)));
  return hasher.hex();
}

std::string refusal_of(const data::Image& picture, const spec::CurateDecode& rules) {
  const int shorter = std::min(picture.width, picture.height);
  const int longer = std::max(picture.width, picture.height);
  if (shorter < rules.min_side)
    return "shorter side " + std::to_string(shorter) + " is below " + std::to_string(rules.min_side) +
           " pixels";
  if (longer > rules.aspect_max * shorter)
    return std::to_string(picture.width) + "x" + std::to_string(picture.height) +
           " is more elongated than allowed";
  return "";
}

data::Image shrunk(const data::Image& picture, std::int64_t max_side) {
  const int shorter = std::min(picture.width, picture.height);
  if (shorter <= max_side) return picture;
  const double scale = static_cast<double>(max_side) / shorter;
  return data::resize(picture, std::max(1, static_cast<int>(std::lround(picture.width * scale))),
                      std::max(1, static_cast<int>(std::lround(picture.height * scale))));
}

// A chunk file, field by field. Integers as the machine has them: the file never leaves the stage's work
// folder.
class ChunkReader {
 public:
  explicit ChunkReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::span<const std::byte> take(std::size_t count) {
    if (count > bytes_.size() - at_) {
      is_short_ = true;
      count = 0;
    }
    at_ += count;
    return bytes_.subspan(at_ - count, count);
  }
  template <typename Number>
  Number number() {
    Number value{};
    const std::span<const std::byte> bytes = take(sizeof value);
    if (!bytes.empty()) std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }
  std::string text() {
    const auto length = number<std::uint32_t>();
    return std::string(storage::text_of(take(length)));
  }
  std::size_t at() const { return at_; }
  bool is_short() const { return is_short_; }

 private:
  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
  bool is_short_ = false;
};

void append(std::vector<std::byte>& out, std::span<const std::byte> bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

void append_text(std::vector<std::byte>& out, std::string_view text) {
  append(out, raw(static_cast<std::uint32_t>(text.size())));
  append(out, storage::bytes_of(text));
}

}  // namespace

PreparedPicture prepare_picture(std::span<const std::byte> file, const spec::CurateDecode& rules) {
  PreparedPicture prepared;
  data::DecodeLimits limits;
  limits.pixels_max = static_cast<std::uint64_t>(rules.pixels_max);
  const Result<data::Image> picture = data::decode_image(file, limits, rules.keep_alpha ? 4 : 3);
  if (!picture) {
    prepared.refused = picture.error().message;
    return prepared;
  }
  prepared.width = picture->width;
  prepared.height = picture->height;
  prepared.pixels = pixel_hash(*picture);
  prepared.refused = refusal_of(*picture, rules);
  if (!prepared.refused.empty()) return prepared;
  const data::Image small = shrunk(*picture, rules.max_side);
  Embeddings row(kDescriptorDim);
  row.add(describe(small));
  prepared.descriptor.assign(row.row(0).begin(), row.row(0).end());
  prepared.png = data::encode_png(small);
  return prepared;
}

std::string preparation_key(const spec::CurateDecode& rules) {
  return std::string(kDescriptorName) + " short side " + std::to_string(rules.max_side) + " from " +
         std::to_string(rules.min_side) + " pixels " + std::to_string(rules.pixels_max) + " aspect " +
         std::to_string(rules.aspect_max) + (rules.keep_alpha ? " with alpha" : "");
}

void write_chunk(const std::filesystem::path& path, const std::string& key,
                 const std::vector<PreparedPicture>& pictures) {
  std::vector<std::byte> out;
  append(out, storage::bytes_of(kMagic));
  append_text(out, key);
  append(out, raw(static_cast<std::uint32_t>(pictures.size())));
  for (const PreparedPicture& picture : pictures) {
    append(out, raw(picture.width));
    append(out, raw(picture.height));
    append_text(out, picture.pixels);
    append_text(out, picture.refused);
    append(out, raw(static_cast<std::uint32_t>(picture.descriptor.size())));
    append(out, std::as_bytes(std::span(picture.descriptor)));
    append(out, raw(static_cast<std::uint64_t>(picture.png.size())));
    append(out, picture.png);
  }
  append(out, storage::bytes_of(storage::xxh3_hex(out)));
  storage::RealDisk disk;
  jobs::value_or_throw(storage::write_atomically(disk, path, std::span<const std::byte>(out)),
                       "keeping prepared pictures");
}

std::optional<Chunk> read_chunk(const std::filesystem::path& path, const std::string& key) {
  storage::RealDisk disk;
  const Result<storage::Bytes> file = storage::read_file(disk, path);
  if (!file || file->size() < kHashBytes) return std::nullopt;
  const std::span<const std::byte> content = file->view().first(file->size() - kHashBytes);
  if (storage::xxh3_hex(content) != storage::text_of(file->view().last(kHashBytes))) return std::nullopt;
  ChunkReader in(content);
  if (storage::text_of(in.take(kMagic.size())) != kMagic || in.text() != key) return std::nullopt;
  Chunk chunk;
  chunk.pictures.resize(in.number<std::uint32_t>());
  for (PreparedPicture& picture : chunk.pictures) {
    picture.width = in.number<std::int32_t>();
    picture.height = in.number<std::int32_t>();
    picture.pixels = in.text();
    picture.refused = in.text();
    picture.descriptor.resize(in.number<std::uint32_t>());
    const auto descriptor = in.take(picture.descriptor.size() * sizeof(std::int16_t));
    if (!descriptor.empty()) std::memcpy(picture.descriptor.data(), descriptor.data(), descriptor.size());
    const auto png_bytes = in.number<std::uint64_t>();
    chunk.png_offsets.push_back(in.at());
    const auto png = in.take(png_bytes);
    picture.png.assign(png.begin(), png.end());
  }
  if (in.is_short()) return std::nullopt;
  return chunk;
}

}  // namespace paddock::curate
