#include "data/decode.h"

#include <gtest/gtest.h>
// jpeglib.h needs FILE declared before it.
#include <cstdio>
#include <cstdlib>

#include <jpeglib.h>
#include <png.h>

#include <cstring>

#include "tests/data/shards.h"

namespace paddock::data {
namespace {

std::vector<std::byte> encode_jpeg(const Image& image) {
  jpeg_compress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* out = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &out, &size);
  jpeg.image_width = static_cast<JDIMENSION>(image.width);
  jpeg.image_height = static_cast<JDIMENSION>(image.height);
  jpeg.input_components = 3;
  jpeg.in_color_space = JCS_RGB;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, 95, TRUE);
  jpeg_start_compress(&jpeg, TRUE);
  while (jpeg.next_scanline < jpeg.image_height) {
    auto* row = const_cast<JSAMPLE*>(image.row(static_cast<int>(jpeg.next_scanline)));
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  const auto* first = reinterpret_cast<const std::byte*>(out);
  std::vector<std::byte> bytes(first, first + size);
  std::free(out);
  return bytes;
}

// One row of pixels in any of libpng's simple formats.
std::vector<std::byte> encode_row(const std::vector<std::uint8_t>& values, png_uint_32 format) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.format = format;
  image.height = 1;
  image.width = static_cast<png_uint_32>(values.size() / PNG_IMAGE_PIXEL_CHANNELS(format));
  std::vector<std::byte> bytes(1000);
  png_alloc_size_t size = bytes.size();
  EXPECT_NE(png_image_write_to_memory(&image, bytes.data(), &size, 0, values.data(), 0, nullptr), 0);
  bytes.resize(size);
  return bytes;
}

Image wave() {
  Image image(64, 48);
  for (int y = 0; y < 48; ++y)
    for (int x = 0; x < 64; ++x)
      for (int c = 0; c < 3; ++c) image.row(y)[3 * x + c] = static_cast<std::uint8_t>(x * 2 + y + 30 * c);
  return image;
}

TEST(Decode, APngComesBackAsItWasEncoded) {
  const Image image = pattern(33, 17, 4);
  const auto back = decode_image(encode_png(image));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(*back, image);
  EXPECT_EQ(*probe_image(encode_png(image)), (ImageSize{33, 17}));
}

TEST(Decode, AJpegComesBackNearlyAsItWasEncoded) {
  const Image image = wave();
  const auto back = decode_image(encode_jpeg(image));
  ASSERT_TRUE(back) << back.error().message;
  ASSERT_EQ(back->rgb.size(), image.rgb.size());
  double sum = 0;
  for (std::size_t i = 0; i < image.rgb.size(); ++i) sum += std::abs(back->rgb[i] - image.rgb[i]);
  EXPECT_LT(sum / static_cast<double>(image.rgb.size()), 3.0);
  EXPECT_EQ(*probe_image(encode_jpeg(image)), (ImageSize{64, 48}));
}

TEST(Decode, TransparentPixelsLieOnWhite) {
  const auto back =
      decode_image(encode_row({0, 0, 0, 0, 10, 20, 30, 255, 0, 100, 200, 128}, PNG_FORMAT_RGBA));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->rgb, (std::vector<std::uint8_t>{255, 255, 255, 10, 20, 30, 127, 177, 227}));
}

TEST(Decode, GreyBecomesThreeEqualChannels) {
  const auto back = decode_image(encode_row({0, 77, 255}, PNG_FORMAT_GRAY));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->rgb, (std::vector<std::uint8_t>{0, 0, 0, 77, 77, 77, 255, 255, 255}));
}

// A header that promises far more pixels than the file has: the size is refused before memory is taken for
// it.
TEST(Decode, AHeaderThatPromisesTooManyPixelsIsRefused) {
  std::vector<std::byte> bomb = encode_png(pattern(8, 8, 0));
  const std::uint8_t side[4] = {0, 0, 0xEA, 0x60};  // 60,000
  std::memcpy(&bomb[16], side, 4);
  std::memcpy(&bomb[20], side, 4);
  png_uint_32 sum = 0xFFFFFFFFu;  // the header's CRC-32, bit by bit, so that only the size is at fault
  for (std::size_t i = 12; i < 29; ++i) {
    sum ^= static_cast<png_uint_32>(bomb[i]);
    for (int bit = 0; bit < 8; ++bit) sum = (sum >> 1) ^ ((sum & 1) != 0 ? 0xEDB88320u : 0);
  }
  sum = ~sum;
  for (std::size_t i = 0; i < 4; ++i) bomb[29 + i] = static_cast<std::byte>((sum >> (24 - 8 * i)) & 0xFF);
  const auto refused = decode_image(bomb);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kInvalid);
  EXPECT_NE(refused.error().message.find("60000x60000"), std::string::npos) << refused.error().message;

  DecodeLimits tight;
  tight.pixels_max = 64 * 48 - 1;
  EXPECT_EQ(decode_image(encode_jpeg(wave()), tight).error().code, Code::kInvalid);
  EXPECT_EQ(decode_image(encode_png(wave()), tight).error().code, Code::kInvalid);
}

TEST(Decode, AFileTornAnywhereIsNeverHalfAPicture) {
  for (const auto& file : {encode_png(pattern(40, 30, 1)), encode_jpeg(wave())}) {
    ASSERT_TRUE(decode_image(file));
    for (std::size_t kept = 0; kept + 2 < file.size(); kept += 1 + file.size() / 97) {
      const auto torn = decode_image(std::span(file).first(kept));
      ASSERT_FALSE(torn) << kept << " of " << file.size();
      EXPECT_EQ(torn.error().code, kept < 8 ? torn.error().code : Code::kCorrupt) << torn.error().message;
    }
  }
}

TEST(Decode, FlippedBytesAreErrorsOrPicturesButNeverACrash) {
  std::uint64_t state = 7;
  for (const auto& file : {encode_png(pattern(40, 30, 1)), encode_jpeg(wave())})
    for (int i = 0; i < 300; ++i) {
      std::vector<std::byte> hurt = file;
      for (int flips = 0; flips < 3; ++flips) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        hurt[(state >> 33) % hurt.size()] ^= static_cast<std::byte>(1u << (state >> 61));
      }
      DecodeLimits limits;
      limits.pixels_max = 1'000'000;
      if (const auto image = decode_image(hurt, limits)) {
        EXPECT_EQ(image->rgb.size(), static_cast<std::size_t>(image->width) * image->height * 3);
      }
    }
}

TEST(Decode, OtherFilesAreNamedAsSuch) {
  const std::string text = "GIF89a and so on";
  const auto refused = decode_image(std::as_bytes(std::span(text)));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kInvalid);
}

}  // namespace
}  // namespace paddock::data
