#include "jobs/model/model_command.h"

#include <c10/util/Exception.h>

#include <new>
#include <stdexcept>

#include "jobs/model/commands.h"
#include "jobs/model/decoded_pictures.h"
#include "jobs/spec/nearest.h"

namespace paddock::jobs {
namespace {

constexpr int kDone = 0, kFailed = 1, kWrongUsage = 2;
// Side of the centre cut out ÷ short side of the picture, as DINOv2 evaluates: 224 of 256.
constexpr double kCropRatio = .875;

std::vector<ModelCommand> all_commands() {
  return {info_command(),     convert_command(),   forward_command(),
          features_command(), attention_command(), pca_command()};
}

std::string help_of_all(const std::vector<ModelCommand>& commands) {
  std::string text = "paddock-run model COMMAND [options]\n\n";
  for (const ModelCommand& command : commands)
    text += "  " + command.name + std::string(11 - command.name.size(), ' ') + command.about + '\n';
  return text +
         "\npaddock-run model COMMAND --help lists its options. Exit codes: 0 done, 1 failed, 2 wrong "
         "usage.\n";
}

const ModelCommand& find(const std::vector<ModelCommand>& commands, const std::string& name) {
  std::vector<std::string> known;
  for (const ModelCommand& command : commands) {
    if (command.name == name) return command;
    known.push_back(command.name);
  }
  throw std::invalid_argument("model " + name + " " + spec::unknown_key_message(name, known));
}

bool asks_for_help(std::span<const std::string> words) {
  for (const std::string& word : words)
    if (word == "--help" || word == "-h") return true;
  return false;
}

void run_given(std::span<const std::string> words, std::ostream& out, std::ostream& err) {
  const std::vector<ModelCommand> commands = all_commands();
  if (words.empty() || words[0] == "--help" || words[0] == "-h") {
    (words.empty() ? err : out) << help_of_all(commands);
    if (words.empty()) throw std::invalid_argument("which command?");
    return;
  }
  const ModelCommand& command = find(commands, words[0]);
  if (asks_for_help(words)) {
    out << "paddock-run model " << command.name << " [options]: " << command.about << "\n\n"
        << help_of(command.options);
    return;
  }
  command.run(Arguments::parse(command.name, command.options, words.subspan(1)), out, err);
}

}  // namespace

int run_model_command(std::span<const std::string> words, std::ostream& out, std::ostream& err) {
  const auto failed = [&err](const std::string& why, int code) {
    err << "paddock-run: " << why << std::endl;
    return code;
  };
  try {
    run_given(words, out, err);
    out.flush();
    return kDone;
  } catch (const std::invalid_argument& error) {
    return failed(error.what(), kWrongUsage);
  } catch (const c10::Error& error) {  // what() would add a backtrace
    return failed(error.what_without_backtrace(), kFailed);
  } catch (const std::bad_alloc&) {
    return failed("there is not enough memory for this", kFailed);
  } catch (const std::exception& error) {
    return failed(error.what(), kFailed);
  }
}

std::vector<Option> with_weights_options(std::vector<Option> others) {
  std::vector<Option> options = {
      {.name = "--weights",
       .value = "PATH",
       .about = "a Paddock checkpoint, a Hugging Face folder, a .safetensors or a PyTorch file",
       .is_required = true},
      {.name = "--role",
       .about = "which network of a training run; without it the teacher",
       .choices = {"teacher", "student"}},
      {.name = "--heads",
       .value = "N",
       .about = "attention heads, where the file does not say; without it as in the published models"},
      {.name = "--grid",
       .value = "ROWSxCOLUMNS",
       .about = "patches that the table of positions is made for, where it is no square and the file does "
                "not say"},
      {.name = "--activation",
       .about = "of the mlp of CLIP, where the file does not say; without it quick_gelu, as OpenAI's",
       .choices = {"gelu", "quick_gelu"}},
      {.name = "--mean",
       .value = "NUMBER…",
       .about = "taken from pixels in [0, 1], one a channel; without it as the weights say, or ImageNet's",
       .is_list = true},
      {.name = "--std",
       .value = "NUMBER…",
       .about = "what they are divided by then, one a channel",
       .is_list = true}};
  options.insert(options.end(), others.begin(), others.end());
  return options;
}

LoadedModel load_given_model(const Arguments& arguments, std::ostream& err) {
  WeightsSource source;
  source.path = arguments.text("--weights");
  if (arguments.has("--role")) source.role = arguments.text("--role");
  source.heads = arguments.count("--heads");
  if (const auto grid = arguments.pair("--grid")) source.grid = model::Grid{grid->first, grid->second};
  if (arguments.has("--mean") || arguments.has("--std")) {
    source.normalization = {arguments.numbers("--mean"), arguments.numbers("--std")};
    if (const auto wrong = problem_of(*source.normalization))
      throw std::invalid_argument("--mean and --std: " + *wrong);
  }
  if (arguments.has("--activation")) source.activation = arguments.text("--activation");
  LoadedModel loaded = load_model(source);
  if (loaded.is_activation_assumed)
    err << "note: CLIP exists with two activations and nothing in the file says which; "
        << loaded.network->options().activation
        << " is assumed, as in OpenAI's models; --activation chooses\n";
  return loaded;
}

const data::Normalization& normalization_of(const LoadedModel& loaded) {
  const std::int64_t channels = loaded.network->options().channels;
  if (!data::is_channel_count(channels))
    throw std::invalid_argument("the model takes " + std::to_string(channels) +
                                " channels, pictures have 1, 3 or 4; `model forward` takes ready tensors");
  if (!loaded.normalization)
    throw std::invalid_argument(
        "the model takes " + std::to_string(channels) +
        " channels, and its file does not say how pictures of so many are normalised: "
        "--mean and --std are needed");
  return *loaded.normalization;
}

std::vector<Option> with_picture_options(std::vector<Option> others) {
  std::vector<Option> options = {
      {.name = "--input",
       .value = "PATH…",
       .about = "PNG and JPEG files, folders of them, Paddock shard sets",
       .is_required = true,
       .is_list = true},
      {.name = "--size",
       .value = "PIXELS",
       .about = "side of the square that the model sees; with --fit whole the picture's shorter side",
       .initial = "224"},
      {.name = "--fit",
       .about =
           "a square of its centre, a square with white added, or the whole picture in its own proportions",
       .initial = "crop",
       .choices = {"crop", "pad", "whole"}},
      sides_option()};
  options.insert(options.end(), others.begin(), others.end());
  return options;
}

PictureFrame given_frame(const Arguments& arguments, model::VisionTransformer& network) {
  constexpr std::int64_t kSizeMax = 1 << 14;
  const std::int64_t size = *arguments.count("--size");
  if (size > kSizeMax)
    throw std::invalid_argument("--size " + std::to_string(size) + " is more than the " +
                                std::to_string(kSizeMax) + " pixels allowed");
  network.set_side_policy(model::side_policy_of(arguments.text("--sides")));
  require_size_fits(network, size);
  const std::string& fit = arguments.text("--fit");
  return {
      .square = {.image_size = static_cast<int>(size), .crop_ratio = kCropRatio, .is_padded = fit == "pad"},
      .is_whole = fit == "whole"};
}

Option sides_option() {
  return {.name = "--sides",
          .about = "that the patch does not divide: refused, resized to the nearest it divides, zeros added",
          .initial = "refuse",
          .choices = {"refuse", "resize", "pad"}};
}

Option force_option() {
  return {.name = "--force", .about = "overwrites results that are there"};
}

}  // namespace paddock::jobs
