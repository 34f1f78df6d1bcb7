#include "jobs/model/load_weights.h"

#include <algorithm>
#include <set>
#include <stdexcept>

#include "jobs/model/hugging_face.h"
#include "jobs/model_checkpoint.h"
#include "jobs/tensors.h"
#include "jobs/value_or_throw.h"
#include "model/weight_names.h"
#include "storage/safetensors.h"
#include "storage/torch_file.h"

namespace paddock::jobs {
namespace {

namespace fs = std::filesystem;

struct FileTensors {
  model::TensorMap tensors;
  std::string format;
  std::vector<std::string> left_out;
  HuggingFaceConfig config;
};

[[noreturn]] void refuse(const fs::path& path, const std::string& why) {
  throw std::invalid_argument(path.string() + ": " + why);
}

model::TensorMap as_tensors(const fs::path& path, const std::vector<storage::TensorBytes>& bytes) {
  try {
    return tensors_of_bytes(bytes);
  } catch (const std::invalid_argument& error) {
    refuse(path, error.what());
  }
}

FileTensors read_file_of_tensors(const fs::path& path) {
  storage::RealDisk disk;
  const std::string extension = path.extension().string();
  if (extension == ".safetensors") {
    const auto file = value_or_throw(storage::read_safetensors(disk, path), "loading weights");
    return {as_tensors(path, file.contents.tensors), "safetensors", {}, {}};
  }
  for (const char* known : {".pth", ".pt", ".bin", ".ckpt"}) {
    if (extension != known) continue;
    const auto file = value_or_throw(storage::read_torch_file(disk, path), "loading weights");
    return {as_tensors(path, file.tensors), "pytorch", file.dropped, {}};
  }
  refuse(path,
         "is no kind of weights that is known: a .safetensors or a PyTorch file (.pth, .pt, .bin, .ckpt), a "
         "Paddock checkpoint (a folder with manifest.json) or a Hugging Face folder (with config.json)");
}

FileTensors read_hugging_face_folder(const fs::path& dir) {
  for (const char* name : {"model.safetensors", "pytorch_model.bin"}) {
    if (!fs::exists(dir / name)) continue;
    FileTensors file = read_file_of_tensors(dir / name);
    file.format = "hugging face folder";
    file.config = read_hugging_face_config(dir / "config.json");
    return file;
  }
  refuse(
      dir,
      "has a config.json but neither model.safetensors nor pytorch_model.bin; weights in several files are "
      "not read");
}

// Of a training run's file, which has both networks, only the one asked for.
void keep_role(const WeightsSource& source, model::TensorMap& tensors, std::vector<std::string>& left_out) {
  const auto has = [&](const std::string& role) {
    const auto at = tensors.lower_bound(role + ".");
    return at != tensors.end() && at->first.starts_with(role + ".");
  };
  const std::string wanted = source.role.empty() ? "teacher" : source.role;
  if (!source.role.empty() && !has(wanted)) refuse(source.path, "has no tensors of a " + wanted);
  if (!has("teacher") || !has("student")) return;
  const std::string other = wanted == "teacher" ? "student." : "teacher.";
  for (auto at = tensors.begin(); at != tensors.end();) {
    const bool is_other = at->first.starts_with(other);
    if (is_other) left_out.push_back(at->first);
    at = is_other ? tensors.erase(at) : std::next(at);
  }
}

void describe_tensors(const model::TensorMap& tensors, LoadedModel& loaded) {
  std::set<std::string> dtypes;
  for (const auto& [name, tensor] : tensors) {
    dtypes.insert(dtype_name(tensor.scalar_type()));
    loaded.bytes += static_cast<std::int64_t>(tensor.nbytes());
  }
  loaded.dtypes.assign(dtypes.begin(), dtypes.end());
}

LoadedModel load_checkpoint(const WeightsSource& source) {
  const std::string role = source.role.empty() ? "teacher" : source.role;
  LoadedBackbone backbone = load_backbone(source.path.string(), role);
  const std::int64_t heads = backbone.network->options().heads;
  if (source.heads && *source.heads != heads)
    refuse(source.path,
           "was trained with " + std::to_string(heads) + " heads, not with " + std::to_string(*source.heads));
  LoadedModel loaded;
  loaded.network = std::move(backbone.network);
  loaded.format = "paddock checkpoint";
  loaded.family = "paddock";
  const model::NamedTensors parameters = loaded.network->parameters();
  describe_tensors({parameters.begin(), parameters.end()}, loaded);
  loaded.checkpoint = {
      {"role", role}, {"hash", backbone.hash}, {"step", backbone.state.value("step", std::int64_t{-1})}};
  return loaded;
}

LoadedModel load_tensors(const WeightsSource& source, FileTensors file) {
  const std::optional<std::int64_t>& said = file.config.heads;
  if (said && source.heads && *said != *source.heads)
    refuse(source.path, "its config.json says " + std::to_string(*said) + " heads, --heads says " +
                            std::to_string(*source.heads));
  LoadedModel loaded;
  loaded.left_out = std::move(file.left_out);
  keep_role(source, file.tensors, loaded.left_out);
  try {
    model::RecognisedWeights recognised = model::recognise_weights(file.tensors, said ? said : source.heads);
    if (file.config.norm_epsilon) recognised.options.norm_epsilon = *file.config.norm_epsilon;
    loaded.network = std::make_unique<model::VisionTransformer>(recognised.options);
    model::load_weights(loaded.network->parameters(), recognised.backbone);
    loaded.family = recognised.family;
    describe_tensors(recognised.backbone, loaded);
    loaded.left_out.insert(loaded.left_out.end(), recognised.left_out.begin(), recognised.left_out.end());
  } catch (const std::invalid_argument& error) {
    refuse(source.path, error.what());
  }
  std::sort(loaded.left_out.begin(), loaded.left_out.end());
  loaded.format = file.format;
  return loaded;
}

}  // namespace

LoadedModel load_model(const WeightsSource& source) {
  if (!fs::exists(source.path)) refuse(source.path, "there is no such file or folder");
  if (!fs::is_directory(source.path)) return load_tensors(source, read_file_of_tensors(source.path));
  if (fs::exists(source.path / "manifest.json")) return load_checkpoint(source);
  if (fs::exists(source.path / "config.json"))
    return load_tensors(source, read_hugging_face_folder(source.path));
  refuse(
      source.path,
      "is a folder with neither manifest.json (a Paddock checkpoint) nor config.json (a Hugging Face model)");
}

}  // namespace paddock::jobs
