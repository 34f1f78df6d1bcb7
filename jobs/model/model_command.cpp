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
       .about = "attention heads, where the file does not say; without it as in the published models"}};
  options.insert(options.end(), others.begin(), others.end());
  return options;
}

LoadedModel load_given_model(const Arguments& arguments) {
  return load_model({.path = arguments.text("--weights"),
                     .role = arguments.has("--role") ? arguments.text("--role") : "",
                     .heads = arguments.count("--heads")});
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
       .about = "side of the square that the model sees, a multiple of its patch",
       .initial = "224"},
      {.name = "--fit",
       .about = "how a picture becomes a square: its centre cut out, or white added",
       .initial = "crop",
       .choices = {"crop", "pad"}}};
  options.insert(options.end(), others.begin(), others.end());
  return options;
}

evaluate::EvalTransform given_transform(const Arguments& arguments, const model::VisionTransformer& network) {
  constexpr std::int64_t kSizeMax = 1 << 14;
  const std::int64_t size = *arguments.count("--size");
  if (size > kSizeMax)
    throw std::invalid_argument("--size " + std::to_string(size) + " is more than the " +
                                std::to_string(kSizeMax) + " pixels allowed");
  require_size_fits(network.options(), size);
  return {.image_size = static_cast<int>(size),
          .crop_ratio = kCropRatio,
          .is_padded = arguments.text("--fit") == "pad"};
}

Option force_option() {
  return {.name = "--force", .about = "overwrites results that are there"};
}

}  // namespace paddock::jobs
