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
  std::size_t undecodable = 0;
};

Extracted extract(const model::VisionTransformer& network, const PictureInputs& inputs,
                  const evaluate::EvalTransform& transform, const std::string& what, std::size_t batch,
                  std::ostream& err) {
  const int threads = threads_of_this_rank();
  Extracted extracted;
  for (std::size_t first = 0; first < inputs.size(); first += kDecodedAtOnce) {
    const std::size_t count = std::min(kDecodedAtOnce, inputs.size() - first);
    const std::vector<NamedPicture> decoded =
        decode_squares(inputs, first, count, transform, threads, err, extracted.undecodable);
    if (decoded.empty()) continue;
    std::vector<const data::Image*> squares;
    for (const NamedPicture& picture : decoded) {
      squares.push_back(&picture.square);
      extracted.names += picture.name + '\n';
    }
    const evaluate::FeatureTable rows =
        evaluate::features_of(network, squares, what, batch, threads, [](std::size_t) {});
    extracted.table.dim = rows.dim;
    extracted.table.values.insert(extracted.table.values.end(), rows.values.begin(), rows.values.end());
  }
  if (extracted.table.size() == 0)
    throw std::runtime_error("not one of the " + std::to_string(inputs.size()) + " pictures can be decoded");
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
  const LoadedModel loaded = load_given_model(arguments);
  const evaluate::EvalTransform transform = given_transform(arguments, *loaded.network);
  const PictureInputs inputs(arguments.list("--input"));
  Extracted extracted = extract(*loaded.network, inputs, transform, what, batch, err);
  const torch::Tensor features = as_tensor(extracted.table, what, loaded.network->options().embed_dim);
  write_text_file(path.string() + ".txt", extracted.names);
  if (path.extension() == ".npy")
    write_npy(path, extracted.table);
  else
    write_tensor_file(path, {{"features", features}}, {{"what", what}});
  out << path.string() << ": features " << features.sizes() << " of " << extracted.table.size()
      << " pictures, named in " << path.string() << ".txt; " << extracted.undecodable << " left out\n";
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
