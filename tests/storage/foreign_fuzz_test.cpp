// Files that others wrote – archives, pickles, PyTorch's files – are read without trust: any bytes give something that
// keeps the format's promises, or an error.
#include <gtest/gtest.h>

#include <fstream>

#include "storage/pickle.h"
#include "storage/torch_file.h"
#include "storage/zip.h"
#include "tests/fuzz.h"
#include "tests/storage/faulty_disk.h"
#include "tests/storage/zip_archive.h"

namespace paddock::storage {
namespace {

using namespace std::string_view_literals;

std::string fixture(const std::string& name) {
  std::ifstream file(fs::path(PADDOCK_SOURCE_DIR) / "tests/storage/fixtures" / name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<ArchiveEntry> entries_of(const std::string& archive) {
  std::vector<ArchiveEntry> entries;
  const auto parsed = parse_zip(bytes_of(archive));
  for (const auto& [name, bytes] : *parsed)
    entries.push_back(
        {std::string(name), std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size())});
  return entries;
}

// Opcodes, and lengths and counts at their bounds.
const std::vector<std::string_view> kOpcodes = {"("sv,
                                                ")"sv,
                                                "]"sv,
                                                "}"sv,
                                                "t"sv,
                                                "u"sv,
                                                "s"sv,
                                                "e"sv,
                                                "R"sv,
                                                "b"sv,
                                                "Q"sv,
                                                "."sv,
                                                "\x81"sv,
                                                "q\0"sv,
                                                "h\0"sv,
                                                "0"sv,
                                                "\x85"sv,
                                                "\x86"sv,
                                                "2"sv,
                                                "N"sv,
                                                "\x88"sv,
                                                "K\xff"sv,
                                                "J\xff\xff\xff\xff"sv,
                                                "\x94"sv,
                                                "\x8f"sv,
                                                "X\xff\xff\xff\x7f"sv,
                                                "\x8d\xff\xff\xff\xff\xff\xff\xff\xff"sv,
                                                "ctorch\nSize\n"sv};

void expect_whole(const Pickle& pickle) {
  ASSERT_LT(pickle.top, pickle.values.size());
  for (const PickleValue& value : pickle.values) {
    for (const PickleIndex item : value.items) ASSERT_LT(item, pickle.values.size());
    if (value.kind != PickleValue::Kind::kCall) continue;
    ASSERT_LT(value.callable, pickle.values.size());
    ASSERT_LT(value.arguments, pickle.values.size());
  }
}

TEST(ForeignFuzz, PicklesAreValuesOrRefused) {
  std::vector<std::string> pickles;
  for (const char* const name : {"module.pth", "training.pth", "layouts.pth", "protocol_4.pth"}) {
    for (const ArchiveEntry& entry : entries_of(fixture(name))) {
      if (entry.name.ends_with("data.pkl")) pickles.push_back(entry.bytes);
    }
  }
  ASSERT_EQ(pickles.size(), 4u);
  std::uint64_t accepted = 0;
  for (Rounds rounds(15'000); rounds.next();) {
    Draws draws = rounds.draws();
    const std::string bytes = edited(pickles[draws.below(pickles.size())], draws, kOpcodes);
    const auto parsed = parse_pickle(bytes_of(bytes));
    static_cast<void>(parse_pickle(bytes_of("\x80\x02" + random_text(draws, 60))));
    if (!parsed) {
      ASSERT_TRUE(parsed.error().code == Code::kCorrupt || parsed.error().code == Code::kInvalid);
      continue;
    }
    ++accepted;
    ASSERT_LE(parsed->bytes, bytes.size());
    expect_whole(*parsed);
  }
  EXPECT_GT(accepted, 500u);
}

TEST(ForeignFuzz, ArchivesGiveEntriesThatLieInTheFileOrAreRefused) {
  const std::string narrow = zip_archive({{"a/data.pkl", "abc"}, {"a/data/0", std::string(70, 'x')}});
  const std::string wide = zip_archive({{"a", "abc"}, {"b", "defg"}}, {.is_wide = true});
  std::uint64_t accepted = 0;
  for (Rounds rounds(30'000); rounds.next();) {
    Draws draws = rounds.draws();
    const std::string file = edited(draws.below(2) == 0 ? narrow : wide, draws,
                                    {"PK\1\2", "PK\3\4", "PK\5\6", "PK\6\6", "\xff\xff"});
    const auto parsed = parse_zip(bytes_of(file));
    if (!parsed) {
      ASSERT_TRUE(parsed.error().code == Code::kCorrupt || parsed.error().code == Code::kInvalid);
      continue;
    }
    ++accepted;
    for (const auto& [name, bytes] : *parsed) {
      const auto* const begin = bytes_of(file).data();
      ASSERT_TRUE(bytes.empty() ||
                  (bytes.data() >= begin && bytes.data() + bytes.size() <= begin + file.size()));
    }
  }
  EXPECT_GT(accepted, 100u);
}

std::uint64_t elements_of(const TensorBytes& tensor) {
  std::uint64_t elements = 1;
  for (const std::int64_t size : tensor.shape) elements *= static_cast<std::uint64_t>(size);
  return elements;
}

// The checksums are right, so that what the pickle says is looked at.
TEST(ForeignFuzz, TorchFilesGiveTensorsThatHaveTheirBytesOrAreRefused) {
  std::vector<std::vector<ArchiveEntry>> files;
  for (const char* const name : {"module.pth", "training.pth", "layouts.pth"})
    files.push_back(entries_of(fixture(name)));
  std::uint64_t accepted = 0;
  for (Rounds rounds(2'500); rounds.next();) {
    Draws draws = rounds.draws();
    std::vector<ArchiveEntry> entries = files[draws.below(files.size())];
    for (ArchiveEntry& entry : entries) {
      if (entry.name.ends_with("data.pkl") || draws.below(8) == 0)
        entry.bytes = edited(entry.bytes, draws, kOpcodes);
    }
    FaultyDisk disk;
    ASSERT_TRUE(write_atomically(disk, "/m.pth", zip_archive(entries)));
    const auto file = read_torch_file(disk, "/m.pth");
    if (!file) {
      ASSERT_TRUE(file.error().code == Code::kCorrupt || file.error().code == Code::kInvalid)
          << file.error().message;
      continue;
    }
    ++accepted;
    for (const TensorBytes& tensor : file->tensors) {
      const std::uint64_t elements = elements_of(tensor);
      ASSERT_TRUE(elements == 0 ? tensor.bytes.empty() : tensor.bytes.size() % elements == 0)
          << tensor.name << " has " << tensor.bytes.size() << " bytes";
    }
  }
  EXPECT_GT(accepted, 40u);
}

}  // namespace
}  // namespace paddock::storage
