// The JPEG side of decode.h. libjpeg reports errors by a hook that must not return: ours jumps, so every
// function that arms a jump keeps only trivial locals; what owns memory lives in the caller's frame.
#include <csetjmp>
#include <cstdio>

// jpeglib.h needs FILE and size_t declared before it.
#include <jpeglib.h>
// After jpeglib.h: the numbers of its messages.
#include <jerror.h>

#include <string>

#include "data/codec.h"

namespace paddock::data {
namespace {

struct JpegReader {
  JpegReader() = default;
  ~JpegReader() { jpeg_destroy_decompress(&jpeg); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  jpeg_decompress_struct jpeg{};
  jpeg_error_mgr errors{};
  std::jmp_buf failed{};
  char message[JMSG_LENGTH_MAX] = "";

  tl::unexpected<Error> error() const {
    return fail(Code::kCorrupt, std::string("damaged JPEG file: ") + message + "; replace the file");
  }
};

[[noreturn]] void give_up(j_common_ptr jpeg) {
  auto* reader = static_cast<JpegReader*>(jpeg->client_data);
  reader->errors.format_message(jpeg, reader->message);
  std::longjmp(reader->failed, 1);
}

// libjpeg goes on after these with grey in place of what is missing; we refuse half pictures.
void on_message(j_common_ptr jpeg, int level) {
  if (level >= 0) return;
  switch (jpeg->err->msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
      give_up(jpeg);
    default:
      return;  // such as bytes between segments: the pixels are whole
  }
}

bool read_header(JpegReader& reader, std::span<const std::byte> file) {
  reader.jpeg.err = jpeg_std_error(&reader.errors);
  reader.errors.error_exit = give_up;
  reader.errors.emit_message = on_message;
  reader.jpeg.client_data = &reader;
  if (setjmp(reader.failed) != 0) return false;
  jpeg_create_decompress(&reader.jpeg);
  jpeg_mem_src(&reader.jpeg, reinterpret_cast<const unsigned char*>(file.data()), file.size());
  jpeg_read_header(&reader.jpeg, TRUE);
  return true;
}

bool read_pixels(JpegReader& reader, std::uint8_t* pixels, std::size_t row_bytes) {
  if (setjmp(reader.failed) != 0) return false;
  reader.jpeg.out_color_space = JCS_RGB;
  jpeg_start_decompress(&reader.jpeg);
  while (reader.jpeg.output_scanline < reader.jpeg.output_height) {
    JSAMPROW row = pixels + reader.jpeg.output_scanline * row_bytes;
    jpeg_read_scanlines(&reader.jpeg, &row, 1);
  }
  jpeg_finish_decompress(&reader.jpeg);
  return true;
}

ImageSize size_of(const JpegReader& reader) {
  return {static_cast<int>(reader.jpeg.image_width), static_cast<int>(reader.jpeg.image_height)};
}

}  // namespace

Result<ImageSize> probe_jpeg(std::span<const std::byte> file) {
  JpegReader reader;
  if (!read_header(reader, file)) return reader.error();
  return size_of(reader);
}

Result<Image> decode_jpeg(std::span<const std::byte> file, const DecodeLimits& limits) {
  JpegReader reader;
  if (!read_header(reader, file)) return reader.error();
  const ImageSize size = size_of(reader);
  if (auto allowed = check_size(size, limits); !allowed) return tl::unexpected<Error>(allowed.error());
  const J_COLOR_SPACE colors = reader.jpeg.jpeg_color_space;
  if (colors != JCS_GRAYSCALE && colors != JCS_RGB && colors != JCS_YCbCr)
    return fail(Code::kInvalid, "a JPEG file in CMYK or other print colours; convert it to RGB");
  Image image(size.width, size.height);
  if (!read_pixels(reader, image.rgb.data(), static_cast<std::size_t>(size.width) * 3)) return reader.error();
  return image;
}

}  // namespace paddock::data
