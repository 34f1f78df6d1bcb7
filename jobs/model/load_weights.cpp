#include "jobs/model/load_weights.h"

#include <algorithm>
#include <array>
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
  std::optional<data::Normalization> normalization;
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

// Names that weights have in a folder, and the config that tells of them there.
struct ConfigBeside {
  const char* config;
  HuggingFaceConfig (*read)(const fs::path&);
  std::array<const char*, 2> weights;
};
constexpr std::array<ConfigBeside, 2> kConfigs{
    {{"config.json", read_hugging_face_config, {"model.safetensors", "pytorch_model.bin"}},
     {"open_clip_config.json",
      read_open_clip_config,
      {"open_clip_model.safetensors", "open_clip_pytorch_model.bin"}}}};

FileTensors read_file_of_tensors(const fs::path& path) {
  storage::RealDisk disk;
  std::string extension = path.extension().string();
  if (extension == ".tar") extension = path.stem().extension().string();  // .pth.tar, as torch.save wrote it
  if (extension == ".safetensors") {
    const auto file = value_or_throw(storage::read_safetensors(disk, path), "loading weights");
    return {as_tensors(path, file.contents.tensors), "safetensors", {}, {}, {}};
  }
  for (const char* known : {".pth", ".pt", ".bin", ".ckpt"}) {
    if (extension != known) continue;
    const auto file = value_or_throw(storage::read_torch_file(disk, path), "loading weights");
    return {as_tensors(path, file.tensors), "pytorch", file.dropped, {}, {}};
  }
  refuse(path,
         "is no kind of weights that is known: a .safetensors or a PyTorch file (.pth, .pt, .bin, .ckpt), a "
         "Paddock checkpoint (a folder with manifest.json) or a Hugging Face folder (with config.json)");
}

void read_config(const fs::path& dir, const ConfigBeside& beside, FileTensors& file) {
  file.config = beside.read(dir / beside.config);
  file.normalization = read_hugging_face_preprocessor(dir / "preprocessor_config.json");
  if (!file.normalization) file.normalization = file.config.normalization;
}

// A file alone, unless its name and a config beside it say that it is of a folder.
FileTensors read_file(const fs::path& path) {
  FileTensors file = read_file_of_tensors(path);
  for (const ConfigBeside& beside : kConfigs)
    if (std::ranges::find(beside.weights, path.filename()) != beside.weights.end() &&
        fs::exists(path.parent_path() / beside.config))
      read_config(path.parent_path(), beside, file);
  return file;
}

FileTensors read_folder(const fs::path& dir, const ConfigBeside& beside) {
  for (const char* name : beside.weights) {
    if (!fs::exists(dir / name)) continue;
    FileTensors file = read_file_of_tensors(dir / name);
    file.format = "hugging face folder";
    read_config(dir, beside, file);
    return file;
  }
  refuse(dir, std::string("has a ") + beside.config + " but neither " + beside.weights[0] + " nor " +
                  beside.weights[1] + "; weights in several files are not read");
}

// Of a training run's file, which has both networks, only the one asked for.
void keep_role(const WeightsSource& source, model::TensorMap& tensors, std::vector<std::string>& left_out) {
  const auto has = [&](const std::string& role) {
    const auto at = tensors.lower_bound(role + ".");
    return at != tensors.end() && at->first.starts_with(role + ".");
  };
  const bool is_ijepa = has("target_encoder") && has("encoder");
  const std::string teacher = is_ijepa ? "target_encoder" : "teacher";
  const std::string student = is_ijepa ? "encoder" : "student";
  const std::string wanted = source.role == "student" ? student : teacher;
  if (!source.role.empty() && !has(wanted)) refuse(source.path, "has no tensors of a " + wanted);
  if (!has(teacher) || !has(student)) return;
  const std::string other = (wanted == teacher ? student : teacher) + ".";
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

std::string shown(model::Grid grid) {
  return std::to_string(grid.rows) + "x" + std::to_string(grid.columns);
}

// What OpenAI's and nearly all other networks of CLIP are trained with.
data::Normalization normalization_of_clip() {
  return {{.48145466, .4578275, .40821073}, {.26862954, .26130258, .27577711}};
}

// What the file (`says` it in its words) and the source agree on; without either what is usual for RGB.
std::optional<data::Normalization> agreed(const WeightsSource& source, const std::string& says,
                                          const std::optional<data::Normalization>& of_file,
                                          std::int64_t channels,
                                          const data::Normalization& usual = data::usual_normalization(3)) {
  if (of_file && source.normalization && *of_file != *source.normalization)
    refuse(source.path, says + " " + normalization_to_json(*of_file).dump() + ", --mean and --std say " +
                            normalization_to_json(*source.normalization).dump());
  const std::optional<data::Normalization>& given = of_file ? of_file : source.normalization;
  if (given && given->channels() != channels)
    refuse(source.path, "takes " + std::to_string(channels) + " channels, and the normalisation has " +
                            std::to_string(given->channels()));
  if (!given && channels == 3) return usual;
  return given;
}

LoadedModel load_checkpoint(const WeightsSource& source) {
  const std::string role = source.role.empty() ? "teacher" : source.role;
  LoadedBackbone backbone = load_backbone(source.path.string(), role);
  const std::int64_t heads = backbone.network->options().heads;
  if (source.heads && *source.heads != heads)
    refuse(source.path,
           "was trained with " + std::to_string(heads) + " heads, not with " + std::to_string(*source.heads));
  if (const std::string& own = backbone.network->options().activation;
      !source.activation.empty() && source.activation != own)
    refuse(source.path, "was trained with " + own + ", not with " + source.activation);
  const model::Grid grid = backbone.network->own_grid();
  if (source.grid && *source.grid != grid)
    refuse(source.path, "has positions of " + shown(grid) + " patches, not of " + shown(*source.grid));
  LoadedModel loaded;
  loaded.normalization = agreed(source, "was trained with", std::optional(backbone.normalization),
                                backbone.network->options().channels);
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
  const std::optional<model::Grid>& grid = file.config.grid;
  if (grid && source.grid && *grid != *source.grid)
    refuse(source.path, "its config.json says positions of " + shown(*grid) + " patches, --grid says " +
                            shown(*source.grid));
  LoadedModel loaded;
  loaded.left_out = std::move(file.left_out);
  keep_role(source, file.tensors, loaded.left_out);
  try {
    model::RecognisedWeights recognised =
        model::recognise_weights(file.tensors, said ? said : source.heads, grid ? grid : source.grid);
    if (file.config.norm_epsilon) recognised.options.norm_epsilon = *file.config.norm_epsilon;
    if (file.config.activation) recognised.options.activation = *file.config.activation;
    if (!source.activation.empty()) recognised.options.activation = source.activation;
    loaded.is_activation_assumed =
        recognised.is_activation_assumed && !file.config.activation && source.activation.empty();
    loaded.network = std::make_unique<model::VisionTransformer>(recognised.options);
    model::load_weights(loaded.network->parameters(), recognised.backbone);
    loaded.family = recognised.family;
    describe_tensors(recognised.backbone, loaded);
    loaded.left_out.insert(loaded.left_out.end(), recognised.left_out.begin(), recognised.left_out.end());
  } catch (const std::invalid_argument& error) {
    refuse(source.path, error.what());
  }
  const bool is_clip = loaded.family.ends_with("-clip");
  loaded.normalization = agreed(source, "its preprocessor_config.json says", file.normalization,
                                loaded.network->options().channels,
                                is_clip ? normalization_of_clip() : data::usual_normalization(3));
  std::sort(loaded.left_out.begin(), loaded.left_out.end());
  loaded.format = file.format;
  return loaded;
}

}  // namespace

LoadedModel load_model(const WeightsSource& source) {
  if (!fs::exists(source.path)) refuse(source.path, "there is no such file or folder");
  if (!fs::is_directory(source.path)) return load_tensors(source, read_file(source.path));
  if (fs::exists(source.path / "manifest.json")) return load_checkpoint(source);
  for (const ConfigBeside& beside : kConfigs)
    if (fs::exists(source.path / beside.config))
      return load_tensors(source, read_folder(source.path, beside));
  refuse(
      source.path,
      "is a folder with neither manifest.json (a Paddock checkpoint) nor config.json (a Hugging Face model)");
}

}  // namespace paddock::jobs
