// jobs/model/commands.h – the commands of `paddock-run model`, each one file with one function that describes it, and the
// options they share. Threads: one caller.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "jobs/evaluate/pictures.h"
#include "jobs/model/arguments.h"
#include "jobs/model/load_weights.h"

namespace paddock::jobs {

struct ModelCommand {
  std::string name;
  std::string about;
  std::vector<Option> options;
  // Throws std::invalid_argument for exit code 2, anything else for 1.
  void (*run)(const Arguments& arguments, std::ostream& out, std::ostream& err);
};

ModelCommand info_command();
ModelCommand convert_command();
ModelCommand forward_command();
ModelCommand features_command();
ModelCommand attention_command();
ModelCommand pca_command();

// --weights, --role and --heads, followed by `others`.
std::vector<Option> with_weights_options(std::vector<Option> others);
LoadedModel load_given_model(const Arguments& arguments);

// --input, --size and --fit, followed by `others`.
std::vector<Option> with_picture_options(std::vector<Option> others);
// Checked against the network.
evaluate::EvalTransform given_transform(const Arguments& arguments, const model::VisionTransformer& network);

Option force_option();

}  // namespace paddock::jobs
