// The PNG side of decode.h and encode.h. libpng reports errors by longjmp, so every function that arms a jump
// keeps only trivial locals; what owns memory lives in the caller's frame.
#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <string>

#include "base/check.h"
#include "data/codec.h"
#include "data/encode.h"

namespace paddock::data {
namespace {

struct PngReader {
  explicit PngReader(std::span<const std::byte> bytes) : file(bytes) {}
  ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  std::span<const std::byte> file;
  std::size_t at = 0;
  png_structp png = nullptr;
  png_infop info = nullptr;
  char message[128] = "";

  tl::unexpected<Error> error() const {
    return fail(Code::kCorrupt, std::string("damaged PNG file: ") + message + "; replace the file");
  }
};

void on_error(png_structp png, png_const_charp message) {
  auto* reader = static_cast<PngReader*>(png_get_error_ptr(png));
  std::strncpy(reader->message, message, sizeof reader->message - 1);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

void read_bytes(png_structp png, png_bytep out, std::size_t count) {
  auto* reader = static_cast<PngReader*>(png_get_io_ptr(png));
  if (count > reader->file.size() - reader->at) png_error(png, "it ends early");
  std::memcpy(out, reader->file.data() + reader->at, count);
  reader->at += count;
}

bool read_header(PngReader& reader) {
  reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, on_error, on_warning);
  if (reader.png == nullptr) return false;
  reader.info = png_create_info_struct(reader.png);
  if (reader.info == nullptr) return false;
  if (setjmp(png_jmpbuf(reader.png)) != 0) return false;
  png_set_read_fn(reader.png, &reader, read_bytes);
  png_read_info(reader.png, reader.info);
  return true;
}

// Asks for 8-bit RGB, with alpha where the file has any kind of transparency. Returns the channels, 3 or 4;
// 0: failed.
int ask_for_rgb(PngReader& reader) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) return 0;
  png_set_expand(reader.png);
  png_set_strip_16(reader.png);
  png_set_gray_to_rgb(reader.png);
  png_set_interlace_handling(reader.png);
  png_read_update_info(reader.png, reader.info);
  return png_get_channels(reader.png, reader.info);
}

bool read_pixels(PngReader& reader, png_bytepp rows) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) return false;
  png_read_image(reader.png, rows);
  png_read_end(reader.png, nullptr);  // checks the last pieces' sums
  return true;
}

ImageSize size_of(const PngReader& reader) {
  return {static_cast<int>(png_get_image_width(reader.png, reader.info)),
          static_cast<int>(png_get_image_height(reader.png, reader.info))};
}

// value·alpha + 255·(1 − alpha), rounded as Pillow's alpha compositing does.
std::uint8_t on_white(unsigned value, unsigned alpha) {
  const unsigned sum = value * alpha + 255 * (255 - alpha) + 128;
  return static_cast<std::uint8_t>((sum + (sum >> 8)) >> 8);
}

void lay_on_white(std::span<const std::uint8_t> rgba, std::span<std::uint8_t> rgb) {
  for (std::size_t i = 0; i < rgba.size() / 4; ++i)
    for (std::size_t c = 0; c < 3; ++c) rgb[3 * i + c] = on_white(rgba[4 * i + c], rgba[4 * i + 3]);
}

void take_apart(std::span<const std::uint8_t> rgba, Image& image) {
  image.alpha.resize(rgba.size() / 4);
  for (std::size_t i = 0; i < image.alpha.size(); ++i) {
    std::copy_n(&rgba[4 * i], 3, &image.rgb[3 * i]);
    image.alpha[i] = rgba[4 * i + 3];
  }
}

std::vector<std::uint8_t> put_together(const Image& image) {
  std::vector<std::uint8_t> rgba(4 * image.alpha.size());
  for (std::size_t i = 0; i < image.alpha.size(); ++i) {
    std::copy_n(&image.rgb[3 * i], 3, &rgba[4 * i]);
    rgba[4 * i + 3] = image.alpha[i];
  }
  return rgba;
}

struct PngWriter {
  ~PngWriter() { png_destroy_write_struct(&png, &info); }
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::vector<std::byte> bytes;
};

void write_bytes(png_structp png, png_bytep data, std::size_t count) {
  auto& bytes = static_cast<PngWriter*>(png_get_io_ptr(png))->bytes;
  const auto* first = reinterpret_cast<const std::byte*>(data);
  bytes.insert(bytes.end(), first, first + count);
}

// `rows`: RGB, or RGBA where the image has a fourth channel.
bool write_png(PngWriter& writer, const Image& image, png_bytepp rows) {
  if (setjmp(png_jmpbuf(writer.png)) != 0) return false;
  png_set_write_fn(writer.png, &writer, write_bytes, nullptr);
  png_set_IHDR(writer.png, writer.info, static_cast<png_uint_32>(image.width),
               static_cast<png_uint_32>(image.height), 8,
               image.alpha.empty() ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_RGBA, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(writer.png, writer.info);
  png_write_image(writer.png, rows);
  png_write_end(writer.png, nullptr);
  return true;
}

std::vector<png_bytep> rows_of(std::uint8_t* pixels, int height, std::size_t row_bytes) {
  std::vector<png_bytep> rows(static_cast<std::size_t>(height));
  for (std::size_t y = 0; y < rows.size(); ++y) rows[y] = pixels + y * row_bytes;
  return rows;
}

}  // namespace

Result<ImageSize> probe_png(std::span<const std::byte> file) {
  PngReader reader(file);
  if (!read_header(reader)) return reader.error();
  return size_of(reader);
}

Result<Image> decode_png(std::span<const std::byte> file, const DecodeLimits& limits, bool keeps_alpha) {
  PngReader reader(file);
  if (!read_header(reader)) return reader.error();
  const ImageSize size = size_of(reader);
  if (auto allowed = check_size(size, limits); !allowed) return tl::unexpected<Error>(allowed.error());
  const int channels = ask_for_rgb(reader);
  if (channels != 3 && channels != 4) return reader.error();
  Image image(size.width, size.height);
  std::vector<std::uint8_t> rgba;
  if (channels == 4) rgba.resize(image.rgb.size() / 3 * 4);
  std::vector<png_bytep> rows =
      rows_of(channels == 4 ? rgba.data() : image.rgb.data(), size.height,
              static_cast<std::size_t>(size.width) * static_cast<std::size_t>(channels));
  if (!read_pixels(reader, rows.data())) return reader.error();
  if (channels == 4 && keeps_alpha)
    take_apart(rgba, image);
  else if (channels == 4)
    lay_on_white(rgba, image.rgb);
  return image;
}

std::vector<std::byte> encode_png(const Image& image) {
  PADDOCK_REQUIRE(image.width > 0 && image.height > 0, image.width, image.height);
  PngWriter writer;
  writer.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, on_warning);
  PADDOCK_CHECK(writer.png != nullptr);
  writer.info = png_create_info_struct(writer.png);
  PADDOCK_CHECK(writer.info != nullptr);
  std::vector<std::uint8_t> rgba = image.alpha.empty() ? std::vector<std::uint8_t>() : put_together(image);
  // libpng's writer takes non-const rows but never writes to them.
  auto* pixels = rgba.empty() ? const_cast<std::uint8_t*>(image.rgb.data()) : rgba.data();
  std::vector<png_bytep> rows =
      rows_of(pixels, image.height, static_cast<std::size_t>(image.width) * (rgba.empty() ? 3 : 4));
  PADDOCK_CHECK(write_png(writer, image, rows.data()));
  return std::move(writer.bytes);
}

}  // namespace paddock::data
