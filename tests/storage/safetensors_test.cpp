#include "storage/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/storage/faulty_disk.h"

namespace paddock::storage {
namespace {

using testing::HasSubstr;

// A file with this header and so many bytes of data.
std::string file_with(const std::string& header, std::size_t data_bytes) {
  std::string file;
  for (std::size_t i = 0; i < 8; ++i) file += static_cast<char>((header.size() >> (8 * i)) & 0xFF);
  return file + header + std::string(data_bytes, 'd');
}

std::string refusal(const std::string& file) {
  const auto parsed = parse_safetensors(bytes_of(file), "m.safetensors");
  if (parsed) return "accepted";
  EXPECT_EQ(parsed.error().code, Code::kCorrupt);
  EXPECT_THAT(parsed.error().message, HasSubstr("m.safetensors"));
  return parsed.error().message;
}

std::string refusal(const std::string& header, std::size_t data_bytes) {
  return refusal(file_with(header, data_bytes));
}

TEST(Safetensors, WritesGoldenBytesAndReadsThemBack) {
  FaultyDisk disk;
  const std::vector<TensorBytes> tensors = {{"b", "F32", {2, 1}, bytes_of("12345678")},
                                            {"a", "BOOL", {}, bytes_of("\1")},
                                            {"none", "I64", {0, 7}, {}}};
  ASSERT_TRUE(write_safetensors(disk, "/m.safetensors", tensors, {{"made by", "a test"}}));
  const auto bytes = read_file(disk, "/m.safetensors");
  ASSERT_TRUE(bytes);
  const std::string header =
      R"({"__metadata__":{"made by":"a test"},"b":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},)"
      R"("a":{"dtype":"BOOL","shape":[],"data_offsets":[8,9]},"none":{"dtype":"I64","shape":[0,7],"data_offsets":[9,9]}})";
  const std::string padded = header + std::string((8 - header.size() % 8) % 8, ' ');
  EXPECT_EQ(bytes->text(), file_with(padded, 0) + "12345678\1");

  const auto file = read_safetensors(disk, "/m.safetensors");
  ASSERT_TRUE(file) << file.error().message;
  ASSERT_EQ(file->contents.tensors.size(), 3u);
  EXPECT_EQ(file->contents.tensors[0].name, "b");
  EXPECT_EQ(file->contents.header_bytes % 8, 0u);
  ASSERT_NE(file->find("a"), nullptr);
  EXPECT_EQ(text_of(file->find("a")->bytes), "\1");
  EXPECT_EQ(file->find("none")->shape, (std::vector<std::int64_t>{0, 7}));
  EXPECT_EQ(file->contents.metadata.at("made by"), "a test");
}

TEST(Safetensors, EachMalformationHasItsOwnSentence) {
  const std::string good = R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})";
  EXPECT_EQ(refusal(good, 4), "accepted");
  EXPECT_THAT(refusal("1234567"), HasSubstr("shorter than the length of its header"));
  EXPECT_THAT(refusal(std::string(8, '\xFF')), HasSubstr("more than the 100000000 allowed"));
  EXPECT_THAT(refusal(std::string("\x09\0\0\0\0\0\0\0{}", 10)), HasSubstr("more than the file has"));
  EXPECT_THAT(refusal("[1]", 0), HasSubstr("does not begin with {"));
  EXPECT_THAT(refusal("{\"a\":", 0), HasSubstr("not a JSON object"));
  EXPECT_THAT(refusal(good, 5), HasSubstr("1 bytes follow the last tensor"));
  EXPECT_THAT(refusal(good, 3), HasSubstr("ends at byte 4 of the data, which has 3"));
  EXPECT_THAT(
      refusal(
          R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[0],"data_offsets":[4,4]}})",
          4),
      HasSubstr("\"a\" twice"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"U8","shape":[4],"shape":[4],"data_offsets":[0,4]}})", 4),
              HasSubstr("\"shape\" twice"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"U9","shape":[4],"data_offsets":[0,4]}})", 4),
              HasSubstr("unknown dtype \"U9\""));
  EXPECT_THAT(refusal(R"({"a":{"dtype":7,"shape":[4],"data_offsets":[0,4]}})", 4),
              HasSubstr("dtype that is not a string"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"U8","shape":[-4],"data_offsets":[0,4]}})", 4),
              HasSubstr("not a length"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"U8","shape":4,"data_offsets":[0,4]}})", 4),
              HasSubstr("shape that is not a list"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"U8","shape":[5],"data_offsets":[0,4]}})", 4),
              HasSubstr("4 bytes where 5 follow"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[4,0]}})", 4),
              HasSubstr("ends before it begins"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4.0]}})", 4),
              HasSubstr("two whole numbers"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"U8","shape":[4]}})", 4),
              HasSubstr("exactly dtype, shape and data_offsets"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4],"x":1}})", 4),
              HasSubstr("exactly dtype"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0),
              HasSubstr("overflows"));
  EXPECT_THAT(
      refusal(R"({"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}})", 1),
      HasSubstr("17 dimensions"));
  EXPECT_THAT(
      refusal(
          R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
          3),
      HasSubstr("\"b\" overlaps"));
  EXPECT_THAT(
      refusal(
          R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[3,5]}})",
          5),
      HasSubstr("gap before tensor \"b\""));
  EXPECT_THAT(refusal(R"({"__metadata__":{"a":1}})", 0), HasSubstr("not a string"));
}

TEST(Safetensors, WriterRefusesWhatTheReaderWould) {
  const auto code = [](const std::vector<TensorBytes>& tensors) {
    return safetensors_header(tensors).error().code;
  };
  EXPECT_EQ(code({{"a", "F33", {}, {}}}), Code::kInvalid);
  EXPECT_EQ(code({{"a", "F32", {2}, bytes_of("1234")}}), Code::kInvalid);
  EXPECT_EQ(code({{"a", "F32", {-1}, {}}}), Code::kInvalid);
  EXPECT_EQ(code({{"a", "U8", {1}, bytes_of("1")}, {"a", "U8", {1}, bytes_of("1")}}), Code::kInvalid);
  EXPECT_EQ(code({{"\xFF", "U8", {1}, bytes_of("1")}}), Code::kInvalid);
  EXPECT_EQ(code({{"__metadata__", "U8", {1}, bytes_of("1")}}), Code::kInvalid);
}

}  // namespace
}  // namespace paddock::storage
