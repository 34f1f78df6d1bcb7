#include "storage/manifest.h"

#include "base/limits.h"
#include "storage/json_fields.h"

namespace paddock::storage {

namespace {

using nlohmann::json;

json tensor_to_json(const ManifestTensor& tensor) {
  return {{"name", tensor.name},     {"dtype", tensor.dtype}, {"shape", tensor.shape},
          {"offset", tensor.offset}, {"bytes", tensor.bytes}, {"hash", tensor.hash}};
}

Result<ManifestTensor> tensor_from_json(const json& entry) {
  JsonFields fields(entry);
  ManifestTensor tensor{.name = fields.text("name"),
                        .dtype = fields.text("dtype"),
                        .shape = {},
                        .offset = fields.number("offset"),
                        .bytes = fields.number("bytes"),
                        .hash = fields.text("hash")};
  for (const json& length : fields.list("shape")) {
    if (!length.is_number_unsigned())
      fields.missing("shape", "a list of lengths");
    else
      tensor.shape.push_back(length.get<std::int64_t>());
  }
  TRY(fields.result(), "tensor \"" + tensor.name + "\"");
  return tensor;
}

Result<ManifestFile> file_from_json(const json& entry) {
  JsonFields fields(entry);
  JsonFields header(fields.object("header"));
  ManifestFile file{.name = fields.text("name"),
                    .bytes = fields.number("bytes"),
                    .header_bytes = header.number("bytes"),
                    .header_hash = header.text("hash"),
                    .tensors = {}};
  if (file.name.find('/') != std::string::npos) fields.missing("name", "the name of a file in the folder");
  for (const json& tensor : fields.list("tensors")) {
    TRY_ASSIGN(file.tensors.emplace_back(), tensor_from_json(tensor), "file \"" + file.name + "\"");
  }
  TRY(header.result(), "file \"" + file.name + "\"");
  TRY(fields.result(), "file \"" + file.name + "\"");
  return file;
}

}  // namespace

Result<std::string> print_manifest(const Manifest& manifest) {
  json files = json::array();
  for (const ManifestFile& file : manifest.files) {
    json tensors = json::array();
    for (const ManifestTensor& tensor : file.tensors) tensors.push_back(tensor_to_json(tensor));
    files.push_back({{"name", file.name},
                     {"bytes", file.bytes},
                     {"header", {{"bytes", file.header_bytes}, {"hash", file.header_hash}}},
                     {"tensors", std::move(tensors)}});
  }
  const json whole = {{"format", kManifestFormat},
                      {"step", manifest.step},
                      {"fence", manifest.fence.value},
                      {"state", manifest.state},
                      {"files", std::move(files)}};
  std::string text = whole.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  if (text.find("\xEF\xBF\xBD") != std::string::npos)  // U+FFFD, what a replacement leaves
    return fail(Code::kInvalid, "the checkpoint's state or a name in it has text that is not UTF-8");
  if (text.size() > limits::kManifestBytesMax)
    return fail(Code::kInvalid, "the manifest would have " + std::to_string(text.size()) +
                                    " bytes, more than the " + std::to_string(limits::kManifestBytesMax) +
                                    " allowed: put large state into a tensor");
  return text;
}

Result<Manifest> parse_manifest(std::string_view text) {
  const json whole = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (whole.is_discarded()) return fail(Code::kCorrupt, "the manifest is not JSON");
  JsonFields fields(whole);
  const std::uint64_t format = fields.number("format");
  if (format > kManifestFormat)
    return fail(Code::kInvalid, "the manifest has format " + std::to_string(format) +
                                    ", this program reads up to " + std::to_string(kManifestFormat) +
                                    ": use a newer one");
  Manifest manifest{.step = static_cast<std::int64_t>(fields.number("step")),
                    .fence = Fence(fields.number("fence")),
                    .state = {},
                    .files = {}};
  if (const json* state = fields.find("state")) manifest.state = *state;
  for (const json& file : fields.list("files")) {
    TRY_ASSIGN(manifest.files.emplace_back(), file_from_json(file), "reading the manifest");
  }
  TRY(fields.result(), "reading the manifest");
  return manifest;
}

}  // namespace paddock::storage
