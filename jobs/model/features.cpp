// `paddock-run model features`: one row of numbers a picture, for whatever comes after.
// Letters: B pictures, N patches a picture, D width.
#include "jobs/evaluate/features.h"

#include <torch/types.h>

#include <algorithm>
#include <stdexcept>

#include "jobs/model/commands.h"
#include "jobs/model/decoded_pictures.h"
#include "jobs/model/npy.h"
#include "jobs/model/output_files.h"
#include "jobs/threads.h"

namespace paddock::jobs {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kDecodedAtOnce = 256;  // pictures: bounds what is in memory beside the features

struct Extracted {
  evaluate::FeatureTable table;
  std::string names;  // a line a row
  std::size_t left_out = 0;
};

Extracted extract(const LoadedModel& loaded, const PictureInputs& inputs, const PictureFrame& frame,
                  const std::string& what, std::size_t batch, std::ostream& err) {
  const model::VisionTransformer& network = *loaded.network;
  const data::Normalization& normalization = normalization_of(loaded);
  const int threads = threads_of_this_rank();
  Extracted extracted;
  const auto add = [&](const std::vector<NamedPicture>& decoded) {
    std::vector<const data::Image*> images;
    for (const NamedPicture& picture : decoded) {
      images.push_back(&picture.image);
      extracted.names += picture.name + '\n';
    }
    const evaluate::FeatureTable rows =
        evaluate::features_of(network, normalization, images, what, batch, threads, [](std::size_t) {});
    if (extracted.table.dim != 0 && extracted.table.dim != rows.dim)
      throw std::invalid_argument(
          "--what patches makes one table, and the pictures have different grids of them");
    extracted.table.dim = rows.dim;
    extracted.table.values.reserve(inputs.size() * rows.dim);  // growing would hold all rows twice
    extracted.table.values.insert(extracted.table.values.end(), rows.values.begin(), rows.values.end());
  };
  extracted.left_out = for_decoded_pictures(inputs, frame, network, kDecodedAtOnce, threads, err, add);
  return extracted;
}

// [B, dim], or [B, N, D] of patches; a view of the table.
torch::Tensor as_tensor(evaluate::FeatureTable& table, const std::string& what, std::int64_t width) {
  const auto rows = static_cast<std::int64_t>(table.size());
  const torch::Tensor flat =
      torch::from_blob(table.values.data(), {rows, static_cast<std::int64_t>(table.dim)});
  return what == "patches" ? flat.view({rows, -1, width}) : flat;
}

void check_out(const fs::path& out, const std::string& what, bool force) {
  if (out.extension() != ".npy" && out.extension() != ".safetensors")
    throw std::invalid_argument("--out " + out.string() + " must end in .npy or .safetensors");
  if (out.extension() == ".npy" && what == "patches")
    throw std::invalid_argument("--what patches is a table of three dimensions: give --out a .safetensors");
  refuse_existing(out, force);
  refuse_existing(out.string() + ".txt", force);
}

void run(const Arguments& arguments, std::ostream& out, std::ostream& err) {
  const fs::path path = arguments.text("--out");
  const std::string& what = arguments.text("--what");
  check_out(path, what, arguments.has("--force"));
  const auto batch = static_cast<std::size_t>(*arguments.count("--batch"));
  const LoadedModel loaded = load_given_model(arguments, err);
  if (what == "cls_patchmean" && !loaded.network->options().class_token)
    throw std::invalid_argument(
        "--what cls_patchmean: this model has no class token, and --what cls is the mean of its patches");
  const PictureFrame frame = given_frame(arguments, *loaded.network);
  const PictureInputs inputs(arguments.list("--input"));
  Extracted extracted = extract(loaded, inputs, frame, what, batch, err);
  const torch::Tensor features = as_tensor(extracted.table, what, loaded.network->options().embed_dim);
  FilesTogether files;
  write_text_file(files.staged(path.string() + ".txt"), extracted.names);
  if (path.extension() == ".npy")
    write_npy(files.staged(path), extracted.table);
  else
    write_tensor_file(files.staged(path), {{"features", features}}, {{"what", what}});
  files.publish();
  out << path.string() << ": features " << features.sizes() << " of " << extracted.table.size()
      << " pictures, named in " << path.string() << ".txt; " << extracted.left_out << " left out\n";
}

}  // namespace

ModelCommand features_command() {
  return {
      "features", "one row of numbers a picture",
      with_weights_options(with_picture_options(
          {{.name = "--what",
            .about = "class token, class token and mean patch token behind it, or all patch tokens",
            .initial = "cls",
            .choices = {"cls", "cls_patchmean", "patches"}},
           {.name = "--out",
            .value = "FILE",
            .about = ".npy (not of patches) or .safetensors; FILE.txt has the pictures' names, a line a row",
            .is_required = true},
           {.name = "--batch", .value = "N", .about = "pictures a forward pass", .initial = "16"},
           force_option()})),
      run};
}

}  // namespace paddock::jobs
