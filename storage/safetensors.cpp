#include "storage/safetensors.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

namespace paddock::storage {

namespace {

using nlohmann::json;

constexpr std::size_t kLengthBytes = 8;

struct Dtype {
  std::string_view name;
  std::size_t bytes;
};
constexpr Dtype kDtypes[] = {{"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E4M3", 1}, {"F8_E5M2", 1},
                             {"U16", 2},  {"I16", 2}, {"F16", 2}, {"BF16", 2},    {"U32", 4},
                             {"I32", 4},  {"F32", 4}, {"U64", 8}, {"I64", 8},     {"F64", 8}};

// Bytes of a tensor, or what is wrong with its dtype or shape.
tl::expected<std::uint64_t, std::string> bytes_for(const std::string& dtype,
                                                   const std::vector<std::int64_t>& shape) {
  const auto element = bytes_per_element(dtype);
  if (!element) return tl::make_unexpected("has the unknown dtype \"" + dtype + "\"");
  if (shape.size() > kTensorDimensionsMax)
    return tl::make_unexpected("has " + std::to_string(shape.size()) + " dimensions");
  std::uint64_t bytes = *element;
  for (const std::int64_t length : shape) {
    if (length < 0) return tl::make_unexpected(std::string("has a negative length in its shape"));
    if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(length), &bytes))
      return tl::make_unexpected(std::string("has a shape whose size overflows 64 bits"));
  }
  return bytes;
}

bool is_printable(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

// Parses with one pass that also finds what a plain parse hides: a key twice in one object.
struct StrictJson {
  json value;
  std::optional<std::string> repeated_key;
};

StrictJson parse_strictly(std::string_view text) {
  StrictJson parsed;
  std::vector<std::set<std::string>> open_objects;
  const auto watch = [&](int, json::parse_event_t event, json& value) {
    if (event == json::parse_event_t::object_start) open_objects.emplace_back();
    if (event == json::parse_event_t::object_end) open_objects.pop_back();
    if (event == json::parse_event_t::key && !open_objects.back().insert(value.get<std::string>()).second &&
        !parsed.repeated_key)
      parsed.repeated_key = value.get<std::string>();
    return true;
  };
  parsed.value = json::parse(text, watch, /*allow_exceptions=*/false);
  return parsed;
}

struct Placed {
  TensorBytes tensor;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

// One entry of the header; the error is the rest of a sentence that begins with the tensor's name.
tl::expected<Placed, std::string> read_entry(const std::string& name, const json& entry) {
  if (!entry.is_object() || entry.size() != 3 || !entry.contains("dtype") || !entry.contains("shape") ||
      !entry.contains("data_offsets"))
    return tl::make_unexpected(std::string("does not have exactly dtype, shape and data_offsets"));
  const json& dtype = entry["dtype"];
  const json& shape = entry["shape"];
  const json& offsets = entry["data_offsets"];
  if (!dtype.is_string()) return tl::make_unexpected(std::string("has a dtype that is not a string"));
  if (!shape.is_array()) return tl::make_unexpected(std::string("has a shape that is not a list"));
  if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
      !offsets[1].is_number_unsigned())
    return tl::make_unexpected(std::string("has data_offsets that are not two whole numbers"));
  Placed placed;
  placed.tensor.name = name;
  placed.tensor.dtype = dtype.get<std::string>();
  for (const json& length : shape) {
    if (!length.is_number_unsigned() || length.get<std::uint64_t>() > INT64_MAX)
      return tl::make_unexpected(std::string("has a shape with something that is not a length"));
    placed.tensor.shape.push_back(length.get<std::int64_t>());
  }
  placed.begin = offsets[0].get<std::uint64_t>();
  placed.end = offsets[1].get<std::uint64_t>();
  if (placed.begin > placed.end) return tl::make_unexpected(std::string("ends before it begins"));
  const auto bytes = bytes_for(placed.tensor.dtype, placed.tensor.shape);
  if (!bytes) return tl::make_unexpected(bytes.error());
  if (placed.end - placed.begin != *bytes)
    return tl::make_unexpected("has " + std::to_string(placed.end - placed.begin) + " bytes where " +
                               std::to_string(*bytes) + " follow from dtype and shape");
  return placed;
}

tl::expected<TensorMetadata, std::string> read_metadata(const json& entry) {
  TensorMetadata metadata;
  if (!entry.is_object()) return tl::make_unexpected(std::string("is not an object"));
  for (const auto& [key, value] : entry.items()) {
    if (!value.is_string()) return tl::make_unexpected("has \"" + key + "\", which is not a string");
    metadata.emplace(key, value.get<std::string>());
  }
  return metadata;
}

// Sorts by place, checks that the tensors tile `data` without gap or overlap, and points each at its bytes.
tl::expected<std::vector<TensorBytes>, std::string> lay_out(std::vector<Placed> placed,
                                                            std::span<const std::byte> data) {
  std::sort(placed.begin(), placed.end(), [](const Placed& a, const Placed& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t at = 0;
  std::vector<TensorBytes> tensors;
  for (Placed& next : placed) {
    const std::string name = "tensor \"" + next.tensor.name + "\"";
    if (next.begin < at) return tl::make_unexpected(name + " overlaps the one before it");
    if (next.begin > at) return tl::make_unexpected("there is a gap before " + name);
    if (next.end > data.size())
      return tl::make_unexpected(name + " ends at byte " + std::to_string(next.end) +
                                 " of the data, which has " + std::to_string(data.size()));
    next.tensor.bytes = data.subspan(next.begin, next.end - next.begin);
    at = next.end;
    tensors.push_back(std::move(next.tensor));
  }
  if (at != data.size())
    return tl::make_unexpected(std::to_string(data.size() - at) + " bytes follow the last tensor");
  return tensors;
}

tl::expected<Safetensors, std::string> parse(std::span<const std::byte> file) {
  if (file.size() < kLengthBytes)
    return tl::make_unexpected(std::string("it is shorter than the length of its header"));
  std::uint64_t length = 0;
  for (std::size_t i = kLengthBytes; i-- > 0;)
    length = (length << 8) | std::to_integer<std::uint64_t>(file[i]);
  if (length > kSafetensorsHeaderBytesMax)
    return tl::make_unexpected("its header claims " + std::to_string(length) + " bytes, more than the " +
                               std::to_string(kSafetensorsHeaderBytesMax) + " allowed");
  if (length > file.size() - kLengthBytes)
    return tl::make_unexpected("its header claims " + std::to_string(length) +
                               " bytes, more than the file has");
  const std::string_view text = text_of(file.subspan(kLengthBytes, length));
  if (text.empty() || text.front() != '{')
    return tl::make_unexpected(std::string("its header does not begin with {"));
  const StrictJson header = parse_strictly(text);
  if (!header.value.is_object()) return tl::make_unexpected(std::string("its header is not a JSON object"));
  if (header.repeated_key)
    return tl::make_unexpected("its header has \"" + *header.repeated_key + "\" twice in one object");

  Safetensors contents;
  contents.header_bytes = kLengthBytes + length;
  std::vector<Placed> placed;
  for (const auto& [name, entry] : header.value.items()) {
    if (name == "__metadata__") {
      auto metadata = read_metadata(entry);
      if (!metadata) return tl::make_unexpected("its __metadata__ " + metadata.error());
      contents.metadata = *std::move(metadata);
      continue;
    }
    auto read = read_entry(name, entry);
    if (!read) return tl::make_unexpected("tensor \"" + name + "\" " + read.error());
    placed.push_back(*std::move(read));
  }
  auto tensors = lay_out(std::move(placed), file.subspan(contents.header_bytes));
  if (!tensors) return tl::make_unexpected(tensors.error());
  contents.tensors = *std::move(tensors);
  return contents;
}

}  // namespace

std::optional<std::size_t> bytes_per_element(std::string_view dtype) {
  for (const Dtype& known : kDtypes)
    if (known.name == dtype) return known.bytes;
  return std::nullopt;
}

Result<Safetensors> parse_safetensors(std::span<const std::byte> file, std::string_view name) {
  auto parsed = parse(file);
  if (!parsed)
    return fail(Code::kCorrupt, std::string(name) + " is not a safetensors file: " + parsed.error());
  return *std::move(parsed);
}

Result<std::string> safetensors_header(const std::vector<TensorBytes>& tensors,
                                       const TensorMetadata& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::set<std::string_view> names;
  std::uint64_t at = 0;
  for (const TensorBytes& tensor : tensors) {
    const std::string called = "tensor \"" + tensor.name + "\" ";
    if (!is_printable(tensor.name))
      return fail(Code::kInvalid, called + "has a name that is not printable ASCII");
    if (tensor.name == "__metadata__")
      return fail(Code::kInvalid, called + "has a name the format keeps for itself");
    if (!names.insert(tensor.name).second) return fail(Code::kInvalid, called + "is there twice");
    const auto bytes = bytes_for(tensor.dtype, tensor.shape);
    if (!bytes) return fail(Code::kInvalid, called + bytes.error());
    if (*bytes != tensor.bytes.size())
      return fail(Code::kInvalid, called + "has " + std::to_string(tensor.bytes.size()) + " bytes where " +
                                      std::to_string(*bytes) + " follow from dtype and shape");
    nlohmann::ordered_json entry;
    entry["dtype"] = tensor.dtype;
    entry["shape"] = tensor.shape;
    entry["data_offsets"] = {at, at + *bytes};
    // push_back, since operator[] of an ordered object searches it from the start.
    header.get_ref<nlohmann::ordered_json::object_t&>().push_back({tensor.name, std::move(entry)});
    at += *bytes;
  }
  // Names are plain (checked above); in metadata, what is not UTF-8 becomes U+FFFD.
  std::string text = header.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  text.append((kLengthBytes - text.size() % kLengthBytes) % kLengthBytes, ' ');
  if (text.size() > kSafetensorsHeaderBytesMax)
    return fail(Code::kInvalid,
                "a safetensors header of " + std::to_string(text.size()) + " bytes is above the bound");
  std::string bytes;
  for (std::size_t i = 0; i < kLengthBytes; ++i) bytes += static_cast<char>((text.size() >> (8 * i)) & 0xFF);
  return bytes + text;
}

const TensorBytes* SafetensorsFile::find(std::string_view name) const {
  for (const TensorBytes& tensor : contents.tensors)
    if (tensor.name == name) return &tensor;
  return nullptr;
}

Result<SafetensorsFile> read_safetensors(Disk& disk, const fs::path& path) {
  SafetensorsFile file;
  TRY_ASSIGN(file.bytes, read_file(disk, path), "reading tensors");
  TRY_ASSIGN(file.contents, parse_safetensors(file.bytes.view(), path.string()), "reading tensors");
  return file;
}

Result<void> write_safetensors(Disk& disk, const fs::path& path, const std::vector<TensorBytes>& tensors,
                               const TensorMetadata& metadata) {
  TRY_ASSIGN(const std::string header, safetensors_header(tensors, metadata), "writing " + path.string());
  return write_atomically(disk, path, [&](WritableFile& file) -> Result<void> {
    TRY(file.append(bytes_of(header)), "writing the header");
    for (const TensorBytes& tensor : tensors) {
      TRY(file.append(tensor.bytes), "writing tensor " + tensor.name);
    }
    return {};
  });
}

}  // namespace paddock::storage
