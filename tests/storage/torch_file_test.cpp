// Files in fixtures/ were written by torch.save; make_torch_files.py says how. The others are put together
// here.
#include "storage/torch_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <sstream>

#include "tests/storage/faulty_disk.h"
#include "tests/storage/zip_archive.h"

namespace paddock::storage {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

fs::path fixture(const std::string& name) {
  return fs::path(PADDOCK_SOURCE_DIR) / "tests/storage/fixtures" / name;
}

TorchFile read_fixture(const std::string& name) {
  RealDisk disk;
  auto file = read_torch_file(disk, fixture(name));
  if (file) return *std::move(file);
  ADD_FAILURE() << file.error().message;
  return {};
}

Result<TorchFile> read_bytes(std::string_view bytes) {
  FaultyDisk disk;
  EXPECT_TRUE(write_atomically(disk, "/m.pth", bytes));
  return read_torch_file(disk, "/m.pth");
}

std::string refusal(const Result<TorchFile>& file, Code code, std::string_view name = "m.pth") {
  if (file) return "accepted";
  EXPECT_EQ(file.error().code, code) << file.error().message;
  EXPECT_THAT(file.error().message, HasSubstr(name));
  return file.error().message;
}

std::string fixture_refusal(const std::string& name, Code code) {
  RealDisk disk;
  return refusal(read_torch_file(disk, fixture(name)), code, name);
}

std::vector<std::string> names_of(const TorchFile& file) {
  std::vector<std::string> names;
  for (const TensorBytes& tensor : file.tensors) names.push_back(tensor.name);
  return names;
}

// "F32[2,3] 0 1 2 3 4 5", or "none".
template <typename Element>
std::string described(const TorchFile& file, const std::string& name) {
  const TensorBytes* tensor = file.find(name);
  if (tensor == nullptr) return "none";
  std::string text = tensor->dtype + "[";
  for (const std::int64_t length : tensor->shape)
    text += (text.back() == '[' ? "" : ",") + std::to_string(length);
  std::ostringstream values;
  for (std::size_t at = 0; at + sizeof(Element) <= tensor->bytes.size(); at += sizeof(Element)) {
    Element element{};
    std::memcpy(&element, tensor->bytes.data() + at, sizeof element);
    values << ' ' << +element;
  }
  return text + "]" + values.str();
}

TEST(TorchFile, StateDictOfAModule) {
  const TorchFile file = read_fixture("state_dict.pth");
  EXPECT_THAT(names_of(file),
              ElementsAre("patch.weight", "patch.bias", "norm.weight", "norm.bias", "norm.running_mean",
                          "norm.running_var", "norm.num_batches_tracked"));
  EXPECT_EQ(described<float>(file, "patch.weight"), "F32[2,3] 0 1 2 3 4 5");
  EXPECT_EQ(described<float>(file, "patch.bias"), "F32[2] -1 0.5");
  EXPECT_EQ(described<float>(file, "norm.weight"), "F32[2] 1 1");
  EXPECT_EQ(described<float>(file, "norm.bias"), "F32[2] 0 0");
  EXPECT_EQ(described<std::int64_t>(file, "norm.num_batches_tracked"), "I64[] 0");
  EXPECT_THAT(file.dropped, IsEmpty());
  EXPECT_THAT(file.copies, IsEmpty());
}

// As OpenAI publishes CLIP: a compiled module, its code beside it, which nobody looks at.
TEST(TorchFile, ModuleOfTorchScriptGivesItsParametersBuffersAndModules) {
  const TorchFile file = read_fixture("scripted.pt");
  EXPECT_THAT(names_of(file),
              ::testing::UnorderedElementsAre(
                  "visual.patch.weight", "visual.patch.bias", "visual.norm.weight", "visual.norm.bias",
                  "visual.norm.running_mean", "visual.norm.running_var", "visual.norm.num_batches_tracked",
                  "blocks.0.weight", "blocks.1.weight", "mask", "kept.0"));
  EXPECT_EQ(file.find("visual.patch.weight")->dtype, "F16");
  EXPECT_EQ(file.find("visual.patch.weight")->shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(described<std::int64_t>(file, "mask"), "I64[3] 0 1 2");
  EXPECT_EQ(described<float>(file, "kept.0"), "F32[2] 7 8");
  EXPECT_THAT(file.dropped, IsEmpty());
}

TEST(TorchFile, TrainingCheckpointGivesItsTensorsAndSaysWhatItDropped) {
  for (const char* name : {"training.pth", "protocol_4.pth"}) {
    const TorchFile file = read_fixture(name);
    EXPECT_THAT(
        names_of(file),
        ElementsAre("teacher.backbone.cls_token", "teacher.backbone.blocks.0", "teacher.backbone.blocks.1",
                    "student.module.cls_token", "counts.seen", "optimizer.state.0.step",
                    "optimizer.state.0.exp_avg", "optimizer.state.0.exp_avg_sq", "optimizer.state.1.step",
                    "optimizer.state.1.exp_avg", "optimizer.state.1.exp_avg_sq"));
    EXPECT_EQ(described<float>(file, "teacher.backbone.cls_token"), "F32[1,1,4] 0 1 2 3");
    EXPECT_EQ(described<float>(file, "teacher.backbone.blocks.1"), "F32[2] 2 3");
    EXPECT_EQ(described<float>(file, "student.module.cls_token"), "F32[1,1,4] 10 11 12 13");
    EXPECT_EQ(described<std::int64_t>(file, "counts.seen"), "I64[] 7");
    EXPECT_EQ(described<float>(file, "optimizer.state.1.step"), "F32[] 1");
    EXPECT_EQ(described<float>(file, "optimizer.state.1.exp_avg"), "F32[2] 0.1 0.1");
    const std::string set = name == std::string("training.pth") ? "__builtin__.set" : "set";
    EXPECT_THAT(file.dropped, ElementsAre("args (argparse.Namespace)", "loss (numpy.core.multiarray.scalar)",
                                          "tags (" + set + ")", "path (pathlib.PurePosixPath)"));
  }
}

TEST(TorchFile, EveryLayoutBecomesRowMajor) {
  const TorchFile file = read_fixture("layouts.pth");
  EXPECT_EQ(described<float>(file, "grid"), "F32[3,4] 0 1 2 3 4 5 6 7 8 9 10 11");
  EXPECT_EQ(described<float>(file, "transposed"), "F32[4,3] 0 4 8 1 5 9 2 6 10 3 7 11");
  EXPECT_EQ(described<float>(file, "column"), "F32[3] 1 5 9");
  EXPECT_EQ(described<float>(file, "rows"), "F32[2,4] 4 5 6 7 8 9 10 11");
  EXPECT_EQ(described<float>(file, "every_second"), "F32[2,2] 0 3 8 11");
  EXPECT_EQ(described<float>(file, "expanded"), "F32[2,3] 5 5 5 6 6 6");
  EXPECT_EQ(described<float>(file, "permuted"), "F32[3,1,2] 0 3 1 4 2 5");
  EXPECT_EQ(described<double>(file, "scalar"), "F64[] 2.5");
  EXPECT_EQ(described<float>(file, "empty"), "F32[0,3]");
  EXPECT_EQ(described<float>(file, "parameter"), "F32[2] 30 31");
  EXPECT_EQ(described<float>(file, "with_attribute"), "F32[2] 40 41");
  // What is contiguous is not copied, and what shares a storage still does.
  EXPECT_EQ(file.copies.size(), 5u);
  EXPECT_EQ(file.find("rows")->bytes.data(), file.find("grid")->bytes.data() + 16);
}

TEST(TorchFile, EveryDtypeIsNamedAsInSafetensors) {
  const TorchFile file = read_fixture("layouts.pth");
  EXPECT_EQ(described<std::uint16_t>(file, "half"), "F16[2] 15360 49152");     // 0x3C00 0xC000
  EXPECT_EQ(described<std::uint16_t>(file, "bfloat"), "BF16[2] 16256 49152");  // 0x3F80 0xC000
  EXPECT_EQ(described<std::uint8_t>(file, "bool"), "BOOL[3] 1 0 1");
  EXPECT_EQ(described<std::int8_t>(file, "int8"), "I8[2] -1 2");
  EXPECT_EQ(described<std::uint8_t>(file, "uint8"), "U8[2] 255 2");
  EXPECT_EQ(described<std::int16_t>(file, "int16"), "I16[1] -300");
  EXPECT_EQ(described<std::int32_t>(file, "int32"), "I32[1] -70000");
  EXPECT_EQ(described<std::int64_t>(file, "int64"), "I64[1] -5000000000");
  EXPECT_EQ(described<std::uint16_t>(file, "uint16"), "U16[1] 65535");
  EXPECT_EQ(described<std::uint8_t>(file, "float8"), "F8_E4M3[2] 56 192");  // 0x38 0xC0
  EXPECT_THAT(file.dropped, ElementsAre("complex (torch.ComplexFloatStorage)", "negated (tensor with flags)",
                                        "storage (storage without a tensor)"));
}

TEST(TorchFile, TensorSavedAloneHasNoName) {
  const TorchFile file = read_fixture("tensor.pth");
  EXPECT_EQ(described<float>(file, ""), "F32[2,2] 0 1 2 3");
}

TEST(TorchFile, FileOfTorchBefore1_6IsReadToo) {
  const TorchFile file = read_fixture("older.pth");
  EXPECT_THAT(names_of(file), ElementsAre("grid", "row", "half", "uint16"));
  EXPECT_EQ(described<float>(file, "grid"), "F32[2,3] 0 1 2 3 4 5");
  EXPECT_EQ(described<float>(file, "row"), "F32[3] 3 4 5");
  EXPECT_EQ(described<std::uint16_t>(file, "half"), "F16[3] 0 15360 16384");
  EXPECT_EQ(described<std::uint16_t>(file, "uint16"), "U16[3] 0 1 2");
  EXPECT_THAT(file.dropped, ElementsAre("args (argparse.Namespace)"));
}

TEST(TorchFile, ArchiveWithoutChecksumsIsReadUnchecked) {
  const TorchFile file = read_fixture("unchecked.pth");
  EXPECT_EQ(described<float>(file, "grid"), "F32[2,3] 0 1 2 3 4 5");
  EXPECT_EQ(described<float>(file, "list.0"), "F32[2] 0 1");
}

// Unpickling this in Python runs `touch torch_file_was_executed`.
TEST(TorchFile, CommandInAPickleIsDroppedNotRun) {
  const TorchFile file = read_fixture("trap.pth");
  EXPECT_EQ(described<float>(file, "weight"), "F32[2] 0 1");
  ASSERT_EQ(file.dropped.size(), 1u);
  EXPECT_THAT(file.dropped[0], testing::AnyOf("trap (posix.system)", "trap (os.system)"));
  EXPECT_FALSE(fs::exists("torch_file_was_executed"));
}

TEST(TorchFile, WhatIsNoDictOfTensorsSaysWhatToDo) {
  EXPECT_THAT(fixture_refusal("module.pth", Code::kInvalid),
              HasSubstr("no tensors but only torch.nn.modules.linear.Linear: save them as a dict"));
  EXPECT_THAT(fixture_refusal("compressed.pth", Code::kInvalid), HasSubstr("is compressed"));
  EXPECT_THAT(fixture_refusal("bomb.pth", Code::kInvalid), HasSubstr("\"weight\" repeats its storage"));
  EXPECT_THAT(refusal(read_bytes(""), Code::kInvalid), HasSubstr("not a file of torch.save"));
  EXPECT_THAT(refusal(read_bytes("GIF89a"), Code::kInvalid), HasSubstr("not a file of torch.save"));
  EXPECT_THAT(refusal(read_bytes(zip_archive({{"readme.txt", "hello"}})), Code::kInvalid),
              HasSubstr("no data.pkl"));
  RealDisk disk;
  EXPECT_EQ(read_torch_file(disk, fixture("absent.pth")).error().code, Code::kNotFound);
}

// Pickles in pieces.
std::string text(const std::string& value) {
  return "X" + little_endian(value.size(), 4) + value;
}
std::string integer(std::int64_t value) {
  return "\x8a\x08" + little_endian(static_cast<std::uint64_t>(value), 8);
}
std::string tuple(const std::vector<std::int64_t>& values) {
  std::string items = "(";
  for (const std::int64_t value : values) items += integer(value);
  return items + "t";
}
std::string storage(const std::string& type, std::int64_t elements) {
  return "(" + text("storage") + "ctorch\n" + type + "\n" + text("0") + text("cpu") + integer(elements) +
         "tQ";
}
std::string tensor(const std::string& in_storage, std::int64_t offset, const std::vector<std::int64_t>& shape,
                   const std::vector<std::int64_t>& strides) {
  return "ctorch._utils\n_rebuild_tensor_v2\n(" + in_storage + integer(offset) + tuple(shape) +
         tuple(strides) + "\x89}tR";
}
std::string tensor(std::int64_t offset, const std::vector<std::int64_t>& shape,
                   const std::vector<std::int64_t>& strides) {
  return tensor(storage("FloatStorage", 4), offset, shape, strides);
}
// A dict's entries, alternately text(…) and a value.
Result<TorchFile> read_dict(const std::string& entries, const std::vector<ArchiveEntry>& more = {}) {
  std::vector<ArchiveEntry> archive = {{"m/data.pkl", "\x80\x02}(" + entries + "u."},
                                       {"m/data/0", std::string("\0\0\0\0\0\0\x80?\0\0\0@\0\0@@", 16)}};
  archive.insert(archive.end(), more.begin(), more.end());
  return read_bytes(zip_archive(archive));
}
std::string tensor_refusal(const std::string& value, Code code = Code::kCorrupt) {
  const std::string message = refusal(read_dict(text("w") + value), code);
  EXPECT_THAT(message, HasSubstr("tensor \"w\" "));
  return message;
}

TEST(TorchFile, TensorsLieInsideTheirStorage) {
  const auto good = read_dict(text("w") + tensor(0, {2, 2}, {1, 2}), {{"m/byteorder", "little"}});
  ASSERT_TRUE(good) << good.error().message;
  EXPECT_EQ(described<float>(*good, "w"), "F32[2,2] 0 2 1 3");
  // Strides of a dimension of length one mean nothing.
  EXPECT_TRUE(read_dict(text("w") + tensor(3, {1, 1}, {INT64_MAX, INT64_MAX})));
  EXPECT_TRUE(read_dict(text("w") + tensor(INT64_MAX, {0, 5}, {5, 1})));
  constexpr std::int64_t kHuge = std::int64_t{1} << 62;
  EXPECT_THAT(tensor_refusal(tensor(1, {2, 2}, {2, 1})),
              HasSubstr("reaches element 4 of its storage, which has 4"));
  EXPECT_THAT(tensor_refusal(tensor(0, {2}, {4})), HasSubstr("reaches element 4"));
  EXPECT_THAT(tensor_refusal(tensor(-1, {2}, {1})), HasSubstr("offset"));
  EXPECT_THAT(tensor_refusal(tensor(0, {-2}, {1})), HasSubstr("length or stride"));
  EXPECT_THAT(tensor_refusal(tensor(3, {2}, {-1})), HasSubstr("length or stride"));
  EXPECT_THAT(tensor_refusal(tensor(0, {2, 2}, {1})), HasSubstr("two lists of one length"));
  EXPECT_THAT(tensor_refusal(tensor(0, {3, 3}, {kHuge, kHuge})), HasSubstr("overflows"));
  EXPECT_THAT(tensor_refusal(tensor(0, {kHuge, kHuge}, {0, 0})), HasSubstr("overflows"));
  EXPECT_THAT(tensor_refusal(tensor(0, {kHuge}, {0}), Code::kInvalid), HasSubstr("repeats its storage"));
  EXPECT_THAT(tensor_refusal(tensor(0, std::vector<std::int64_t>(17, 1), std::vector<std::int64_t>(17, 1)),
                             Code::kInvalid),
              HasSubstr("17 dimensions"));
  EXPECT_THAT(tensor_refusal(tensor(storage("FloatStorage", 5), 0, {1}, {1})),
              HasSubstr("16 bytes where 5 elements of torch.FloatStorage"));
  EXPECT_THAT(tensor_refusal(tensor(storage("FloatStorage", 4) + "0N", 0, {1}, {1})),
              HasSubstr("without a storage"));
  EXPECT_THAT(tensor_refusal("ctorch._utils\n_rebuild_tensor_v2\n(NNtR"), HasSubstr("incompletely"));
}

TEST(TorchFile, NamesNestingAndByteOrderAreChecked) {
  const std::string scalar = tensor(0, {}, {});
  EXPECT_THAT(
      refusal(read_dict(text("a.b") + scalar + text("a") + "}" + text("b") + scalar + "s"), Code::kInvalid),
      HasSubstr("\"a.b\" is there twice"));
  EXPECT_THAT(refusal(read_dict(text(std::string(513, 'n')) + scalar), Code::kInvalid),
              HasSubstr("more than 512 bytes"));
  EXPECT_THAT(refusal(read_dict(text("w") + std::string(80, ']') + std::string(79, 'a')), Code::kInvalid),
              HasSubstr("more than 64 containers"));
  EXPECT_THAT(refusal(read_dict(text("w") + "]q\1h\1a"), Code::kInvalid), HasSubstr("contains itself"));
  // An object of TorchScript that is its own state, and a hundred of which each is the state of the one before.
  const std::string object = "c__torch__\nX\n)\x81";
  EXPECT_THAT(refusal(read_dict(text("w") + object + "q\1h\1b"), Code::kInvalid),
              HasSubstr("contains itself"));
  std::string chain;
  for (int i = 0; i < 100; ++i) chain += object;
  EXPECT_THAT(refusal(read_dict(text("w") + chain + std::string(99, 'b')), Code::kInvalid),
              HasSubstr("more than 64 objects"));
  // Each of 30 lists holds the one before twice.
  std::string doubled = "]";
  for (int i = 0; i < 30; ++i) doubled += "q\1" + std::string("0](h\1h\1e");
  EXPECT_THAT(refusal(read_dict(text("w") + doubled), Code::kInvalid), HasSubstr("repeat each other"));
  EXPECT_THAT(refusal(read_dict(text("w") + scalar, {{"m/byteorder", "big"}}), Code::kInvalid),
              HasSubstr("byte order is \"big\""));
  EXPECT_THAT(refusal(read_dict(text("w") + "N"), Code::kInvalid), HasSubstr("holds no tensors: save them"));
  const auto odd_key = read_dict("N" + scalar + text("w") + scalar);
  ASSERT_TRUE(odd_key);
  EXPECT_THAT(odd_key->dropped, ElementsAre("entry whose key is neither text nor integer"));
  EXPECT_THAT(
      refusal(read_dict(text("w") + "ccollections\nOrderedDict\n]]" + text("k") + "a" + scalar + "aa\x85R"),
              Code::kInvalid),
      HasSubstr("no tensors but only w (collections.OrderedDict in the form of Python 2)"));
}

TEST(TorchFile, DroppedThingsAreNamedUpToABound) {
  std::string list = "](";
  for (std::size_t i = 0; i < kDroppedNamedMax + 5; ++i) list += "\x8f";
  const auto file = read_dict(text("w") + tensor(0, {}, {}) + text("losses") + list + "e");
  ASSERT_TRUE(file) << file.error().message;
  ASSERT_EQ(file->dropped.size(), kDroppedNamedMax + 1);
  EXPECT_EQ(file->dropped.front(), "losses.0 (set)");
  EXPECT_EQ(file->dropped.back(), "and 5 more");
}

// Nothing here may crash or read beyond a buffer; a sanitizer build sees that.
void read_damaged(const std::string& name, bool has_checksums) {
  RealDisk real;
  const auto whole = read_file(real, fixture(name));
  ASSERT_TRUE(whole);
  const TorchFile good = read_fixture(name);
  for (std::size_t length = 0; length < whole->size(); ++length) {
    const auto file = read_bytes(whole->text().substr(0, length));
    ASSERT_FALSE(file) << name << " cut to " << length;
    ASSERT_TRUE(file.error().code == Code::kCorrupt || file.error().code == Code::kInvalid)
        << file.error().message;
  }
  std::string damaged(whole->text());
  for (std::size_t at = 0; at < damaged.size(); ++at)
    for (const int flip : {0x01, 0x80, 0xFF}) {
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      const auto file = read_bytes(damaged);
      damaged[at] = whole->text()[at];
      if (!file) {
        ASSERT_TRUE(file.error().code == Code::kCorrupt || file.error().code == Code::kInvalid)
            << file.error().message;
        continue;
      }
      if (!has_checksums) continue;
      // A byte that carries nothing: a date, a version, padding.
      ASSERT_EQ(names_of(*file), names_of(good)) << name << " at " << at;
      for (std::size_t i = 0; i < good.tensors.size(); ++i) {
        ASSERT_EQ(text_of(file->tensors[i].bytes), text_of(good.tensors[i].bytes)) << name << " at " << at;
        ASSERT_EQ(file->tensors[i].shape, good.tensors[i].shape);
      }
    }
}

TEST(TorchFile, DamagedArchiveIsRefusedOrUnchanged) {
  read_damaged("layouts.pth", /*has_checksums=*/true);
  read_damaged("trap.pth", /*has_checksums=*/true);
}

TEST(TorchFile, DamageWithoutChecksumsIsHarmless) {
  read_damaged("unchecked.pth", /*has_checksums=*/false);
  read_damaged("older.pth", /*has_checksums=*/false);
}

}  // namespace
}  // namespace paddock::storage
