#include "storage/torch_file.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <span>
#include <utility>

#include "storage/pickle.h"
#include "storage/torch_tensors.h"
#include "storage/zip.h"

namespace paddock::storage {

namespace {

constexpr std::string_view kZipMagic("PK\3\4", 4);
// A pickle of protocol 2 with the number 0x1950a86a20f9469cfc6c, by which torch knows its older files.
constexpr std::string_view kOlderMagic("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e", 15);
constexpr std::int64_t kOlderVersion = 1001;
constexpr std::string_view kPickleName = "/data.pkl";

// The program of a TorchScript archive, which is compressed.
bool is_code(std::string_view name) {
  const std::size_t slash = name.find('/');
  return slash != std::string_view::npos && name.substr(slash).starts_with("/code/");
}

// An archive: <top>/data.pkl, <top>/data/<key>, <top>/byteorder, and versions that change nothing here. One of TorchScript has
// <top>/code/ and <top>/constants besides.
Result<void> read_archive(TorchFile& file) {
  const auto is_wanted = [](std::string_view name) { return !is_code(name); };
  TRY_ASSIGN(const ZipEntries entries, parse_zip(file.bytes.view(), is_wanted), "reading the archive");
  std::optional<std::string> top;
  for (const auto& [name, bytes] : entries)
    if (name.ends_with(kPickleName) && name.find('/') == name.size() - kPickleName.size())
      top = std::string(name.substr(0, name.size() - kPickleName.size() + 1));
  if (!top)
    return fail(Code::kInvalid,
                "the archive has no data.pkl in its top folder, so torch.save did not write it");
  if (const auto order = entries.find(*top + "byteorder"); order != entries.end())
    if (text_of(order->second) != "little")
      return fail(Code::kInvalid, "its byte order is \"" + std::string(text_of(order->second).substr(0, 20)) +
                                      "\": save it again on a little-endian machine");
  TorchStorages storages;
  const std::string data = *top + "data/";
  for (const auto& [name, bytes] : entries)
    if (name.starts_with(data)) storages.emplace(name.substr(data.size()), bytes);
  TRY_ASSIGN(const Pickle pickle, parse_pickle(entries.at(*top + "data.pkl")),
             "reading " + *top + "data.pkl");
  return collect_tensors(pickle, storages, file);
}

// The pickles and then the storages of an older file, taken from its front.
class OlderReader {
 public:
  explicit OlderReader(std::span<const std::byte> file) : file_(file) {}

  Result<Pickle> pickle() {
    const auto rest = file_.subspan(at_);
    TRY_ASSIGN(Pickle pickle, parse_pickle(rest.first(std::min(rest.size(), kPickleBytesMax))),
               "in the pickle that begins at byte " + std::to_string(at_));
    at_ += pickle.bytes;
    return pickle;
  }

  // Eight bytes with the number of elements, then the elements.
  Result<std::span<const std::byte>> storage(std::size_t element_bytes) {
    std::uint64_t elements = 0;
    const std::string where = "the storage at byte " + std::to_string(at_);
    if (file_.size() - at_ < sizeof elements) return fail(Code::kCorrupt, where + " breaks off");
    std::memcpy(&elements, file_.data() + at_, sizeof elements);
    at_ += sizeof elements;
    if (elements > (file_.size() - at_) / element_bytes)
      return fail(Code::kCorrupt, where + " has " + std::to_string(elements) + " elements and breaks off");
    const auto bytes = file_.subspan(at_, elements * element_bytes);
    at_ += bytes.size();
    return bytes;
  }

  std::size_t bytes_left() const { return file_.size() - at_; }

 private:
  const std::span<const std::byte> file_;
  std::size_t at_ = 0;
};

// Whether the pickle of the system's facts says so.
bool is_little_endian(const Pickle& system) {
  const PickleValue& facts = system.at(system.top);
  if (facts.kind != PickleValue::Kind::kDict) return false;
  for (std::size_t i = 0; i + 1 < facts.items.size(); i += 2)
    if (system.at(facts.items[i]).text == "little_endian") return system.at(facts.items[i + 1]).integer == 1;
  return false;
}

// Bytes of an element of each storage that the pickle refers to.
Result<std::map<std::string, std::size_t>> element_bytes_by_key(const Pickle& pickle) {
  std::map<std::string, std::size_t> element_bytes;
  for (std::size_t i = 0; i < pickle.values.size(); ++i) {
    const auto reference = storage_reference(pickle, static_cast<PickleIndex>(i));
    if (!reference) continue;
    const std::string key(reference->key);
    const auto bytes = bytes_per_storage_element(reference->type);
    if (!bytes || reference->is_view)
      return fail(Code::kInvalid,
                  "storage " + key + " is a " + (reference->is_view ? "view, as " : "") +
                      std::string(reference->type) +
                      ", which is not read from a file of torch before 1.6: load it with torch.load and "
                      "save it again with torch.save");
    if (const auto [known, is_new] = element_bytes.emplace(key, *bytes); !is_new && known->second != *bytes)
      return fail(Code::kCorrupt, "storage " + key + " is referred to with two types");
  }
  return element_bytes;
}

// Five pickles – magic number, version, facts of the system, the value, the storages' keys – and the
// storages in the order of the keys. There are no checksums: only a structure that does not fit is found.
Result<void> read_older(TorchFile& file) {
  OlderReader reader(file.bytes.view());
  TRY(reader.pickle(), "reading the magic number");
  TRY_ASSIGN(const Pickle version, reader.pickle(), "reading the version");
  if (version.at(version.top).integer != kOlderVersion)
    return fail(Code::kInvalid, "it is of version " + std::to_string(version.at(version.top).integer) +
                                    ", not " + std::to_string(kOlderVersion) +
                                    ": load it with torch.load and save it again with torch.save");
  TRY_ASSIGN(const Pickle system, reader.pickle(), "reading the facts of the system");
  if (!is_little_endian(system))
    return fail(Code::kInvalid, "it does not say that it is little-endian: save it again on such a machine");
  TRY_ASSIGN(const Pickle pickle, reader.pickle(), "reading the value");
  TRY_ASSIGN(const Pickle keys, reader.pickle(), "reading the storages' keys");
  TRY_ASSIGN(const auto element_bytes, element_bytes_by_key(pickle), "reading the value");
  TorchStorages storages;
  for (const PickleIndex index : keys.at(keys.top).items) {
    const std::string& key = keys.at(index).text;
    const auto known = element_bytes.find(key);
    if (known == element_bytes.end())
      return fail(Code::kCorrupt, "storage \"" + key + "\" is listed, but nothing refers to it");
    TRY_ASSIGN(const auto bytes, reader.storage(known->second), "reading storage " + key);
    if (!storages.emplace(key, bytes).second)
      return fail(Code::kCorrupt, "storage " + key + " is there twice");
  }
  if (reader.bytes_left() > 0)
    return fail(Code::kCorrupt, std::to_string(reader.bytes_left()) + " bytes follow the last storage");
  return collect_tensors(pickle, storages, file);
}

}  // namespace

const TensorBytes* TorchFile::find(std::string_view name) const {
  for (const TensorBytes& tensor : tensors)
    if (tensor.name == name) return &tensor;
  return nullptr;
}

Result<TorchFile> read_torch_file(Disk& disk, const fs::path& path) {
  const std::string reading = "reading " + path.string();
  TorchFile file;
  TRY_ASSIGN(file.bytes, read_file(disk, path), reading);
  const std::string_view text = file.bytes.text();
  if (text.starts_with(kZipMagic)) {
    TRY(read_archive(file), reading);
  } else if (text.starts_with(kOlderMagic)) {
    TRY(read_older(file), reading);
  } else {
    return fail(Code::kInvalid, path.string() +
                                    " is not a file of torch.save: it begins neither as a zip archive nor " +
                                    "as one of torch before 1.6");
  }
  return file;
}

}  // namespace paddock::storage
