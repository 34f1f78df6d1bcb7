// jobs/model/commands.h – the commands of `paddock-run model`, each one file with one function that describes it, and the
// options they share. Threads: one caller.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "jobs/model/arguments.h"
#include "jobs/model/decoded_pictures.h"
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

// --weights, --role, --heads, --grid, --activation, --mean and --std, followed by `others`.
std::vector<Option> with_weights_options(std::vector<Option> others);
// What had to be assumed is a note on `err`.
LoadedModel load_given_model(const Arguments& arguments, std::ostream& err);

// --input, --size, --fit and --sides, followed by `others`.
std::vector<Option> with_picture_options(std::vector<Option> others);
// Checked against the network, which gets the policy of --sides.
PictureFrame given_frame(const Arguments& arguments, model::VisionTransformer& network);
// Of pictures for this network. Throws std::invalid_argument when neither the weights nor --mean and --std say it, or when
// pictures are not made of so many channels.
const data::Normalization& normalization_of(const LoadedModel& loaded);

Option sides_option();
Option force_option();

}  // namespace paddock::jobs
