// `paddock-run model convert`: the same weights under another project's names.
#include <torch/types.h>

#include <array>
#include <sstream>
#include <stdexcept>

#include "jobs/model/commands.h"
#include "jobs/model/hugging_face.h"
#include "jobs/model/output_files.h"
#include "jobs/model_checkpoint.h"
#include "jobs/value_or_throw.h"
#include "model/weight_names.h"
#include "storage/disk.h"

namespace paddock::jobs {
namespace {

namespace fs = std::filesystem;

struct Dtype {
  const char* option;
  torch::ScalarType type;
  const char* torch_name;  // as config.json says it
};
constexpr std::array<Dtype, 3> kDtypes{{{"fp32", torch::kFloat32, "float32"},
                                        {"bf16", torch::kBFloat16, "bfloat16"},
                                        {"fp16", torch::kFloat16, "float16"}}};

const Dtype& given_dtype(const Arguments& arguments) {
  for (const Dtype& dtype : kDtypes)
    if (arguments.text("--dtype") == dtype.option) return dtype;
  throw std::invalid_argument("--dtype " + arguments.text("--dtype") + " is not known");
}

// transformers refuses a file that does not say this of itself.
const storage::TensorMetadata kMetadata = {{"format", "pt"}};

model::NamedTensors as_type(const model::NamedTensors& tensors, torch::ScalarType type) {
  model::NamedTensors cast;
  for (const auto& [name, tensor] : tensors) {
    cast.emplace_back(name, tensor.detach().to(type).contiguous());
    // Of the three types only float16 is so narrow that a weight may not fit.
    if (type == torch::kFloat16 && cast.back().second.isinf().any().item<bool>())
      throw std::invalid_argument(name +
                                  " has numbers beyond 65504, the largest of fp16; --dtype bf16 holds them");
  }
  return cast;
}

// What the names and shapes of a file cannot carry, so that its readers have to be told.
void say_what_is_lost(const model::VisionTransformerOptions& options, const PositionRule& of_readers,
                      std::ostream& err) {
  const PositionRule own{options.interpolate_antialias, options.interpolate_offset};
  if (own == of_readers) return;
  const auto described = [](const PositionRule& rule) {
    std::ostringstream text;
    text << "offset " << rule.offset << (rule.antialias ? ", antialiased" : ", not antialiased");
    return text.str();
  };
  err << "note: at sizes other than " << options.image_height << " × " << options.image_width
      << " pixels this model's positions are resized with " << described(own)
      << "; readers of the new files use " << described(of_readers) << ", and differ a little there\n";
}

// Before the weights are read, which may take minutes.
void check_out(const std::string& to, const fs::path& out, bool force) {
  if (to == "official") {
    if (out.extension() != ".safetensors")
      throw std::invalid_argument("--out " + out.string() + " must end in .safetensors");
    refuse_existing(out, force);
    return;
  }
  if (fs::exists(out) && !fs::is_directory(out))
    throw std::invalid_argument(out.string() + ": is a file, where a folder is to be written");
  for (const char* name : {"config.json", "model.safetensors", "preprocessor_config.json"})
    refuse_existing(out / name, force);
}

void write_official(const LoadedModel& loaded, const fs::path& out, const Dtype& dtype, std::ostream& err) {
  const model::VisionTransformer& network = *loaded.network;
  const model::VisionTransformerOptions& options = network.options();
  write_tensor_file(out, as_type(network.parameters(), dtype.type), kMetadata);
  const bool has_registers = options.registers > 0;
  const std::string differences = model::differences_from_dinov2(options);
  if (!differences.empty()) {
    err << "note: the official code cannot compute this model: it has " << differences
        << "; `paddock-run model` can"
        << (options.activation == "gelu" ? "" : ", with --activation " + options.activation) << '\n';
    // As it is read again: by CLIP's rule in timm, by I-JEPA's in transformers.
    say_what_is_lost(options, {options.pre_norm, 0}, err);
  } else {
    say_what_is_lost(options, {has_registers, has_registers ? 0 : .1}, err);
  }
  if (options.layerscale == 0 && differences.empty())
    err << "note: this model has no LayerScale; the official code has to be built without it, "
           "init_values=None\n";
  constexpr double kOfficialEpsilon = 1e-6;
  if (options.norm_epsilon != kOfficialEpsilon)
    err << "note: this model's LayerNorms add " << options.norm_epsilon << ", the official code's "
        << kOfficialEpsilon << "; its readers have to be told\n";
  if (options.embed_dim != 64 * options.heads)
    err << "note: the new file does not say that there are " << options.heads
        << " heads; its readers have to be told\n";
  if (const model::Grid grid = network.own_grid(); grid.rows != grid.columns)
    err << "note: the new file does not say that its positions are a table of " << grid.rows << " × "
        << grid.columns << "; --grid " << grid.rows << "x" << grid.columns
        << " has to be told to its readers\n";
  if (loaded.normalization && *loaded.normalization != data::Normalization{})
    err << "note: the new file does not say that pixels are normalised by "
        << normalization_to_json(*loaded.normalization).dump() << "; its readers have to be told\n";
}

// config.json comes last and goes first: a folder that has one is whole.
void write_hugging_face(const LoadedModel& loaded, const fs::path& out, const Dtype& dtype,
                        std::ostream& err) {
  const model::VisionTransformer& network = *loaded.network;
  const model::Grid grid = network.own_grid();
  if (grid.rows != grid.columns)
    throw std::invalid_argument("the table of positions is " + std::to_string(grid.rows) + " × " +
                                std::to_string(grid.columns) +
                                ", and Hugging Face's DINOv2 classes compute only "
                                "with a square one; --to official holds any");
  const model::NamedTensors tensors = as_type(model::hugging_face_names(network), dtype.type);
  storage::RealDisk disk;
  value_or_throw(disk.remove_all(out / "config.json"), "overwriting the model");
  value_or_throw(disk.remove_all(out / "preprocessor_config.json"), "overwriting the model");
  write_tensor_file(out / "model.safetensors", tensors, kMetadata);
  if (loaded.normalization)
    write_text_file(out / "preprocessor_config.json",
                    hugging_face_preprocessor(*loaded.normalization).dump(2) + "\n");
  write_text_file(out / "config.json",
                  hugging_face_config(network.options(), dtype.torch_name).dump(2) + "\n");
  say_what_is_lost(network.options(), hugging_face_position_rule(network.options().registers), err);
}

void run(const Arguments& arguments, std::ostream& out, std::ostream& err) {
  const torch::NoGradGuard no_gradients;
  const std::string& to = arguments.text("--to");
  const fs::path path = arguments.text("--out");
  check_out(to, path, arguments.has("--force"));
  const Dtype& dtype = given_dtype(arguments);
  const LoadedModel loaded = load_given_model(arguments, err);
  if (to == "official")
    write_official(loaded, path, dtype, err);
  else
    write_hugging_face(loaded, path, dtype, err);
  if (!loaded.left_out.empty())
    err << "note: " << loaded.left_out.size()
        << " things in the source are not the backbone's and were left out; `model info` names them\n";
  out << path.string() << ": " << to << ", " << dtype.option << ", "
      << model::count_parameters(loaded.network->parameters()) << " parameters\n";
}

}  // namespace

ModelCommand convert_command() {
  return {"convert", "the same weights under another project's names",
          with_weights_options({{.name = "--to",
                                 .about = "whose names",
                                 .choices = {"official", "hugging-face"},
                                 .is_required = true},
                                {.name = "--out",
                                 .value = "PATH",
                                 .about = "a .safetensors file for official, a folder for hugging-face",
                                 .is_required = true},
                                {.name = "--dtype",
                                 .about = "of the numbers written",
                                 .initial = "fp32",
                                 .choices = {"fp32", "bf16", "fp16"}},
                                force_option()}),
          run};
}

}  // namespace paddock::jobs
