// `paddock-run model pca`: principal components of the patches as colours.
#include <torch/types.h>

#include <algorithm>

#include "jobs/evaluate/color_map.h"
#include "jobs/evaluate/features.h"
#include "jobs/evaluate/html.h"
#include "jobs/model/commands.h"
#include "jobs/model/decoded_pictures.h"
#include "jobs/model/output_files.h"
#include "jobs/model/picture_names.h"
#include "jobs/threads.h"

namespace paddock::jobs {
namespace {

constexpr int kGap = 4;  // white pixels between picture and components

bool is_black(const data::Image& picture) {
  return std::all_of(picture.rgb.begin(), picture.rgb.end(), [](std::uint8_t value) { return value == 0; });
}

void run(const Arguments& arguments, std::ostream& out, std::ostream& err) {
  const LoadedModel loaded = load_given_model(arguments);
  const evaluate::EvalTransform transform = given_transform(arguments, *loaded.network);
  const std::filesystem::path dir = arguments.text("--out");
  const PictureInputs inputs(arguments.list("--input"));
  const std::vector<NamedPicture> pictures =
      decode_all_squares(inputs, transform, threads_of_this_rank(), err);
  const std::vector<std::filesystem::path> paths = png_paths(dir, pictures);
  for (const auto& path : paths) refuse_existing(path, arguments.has("--force"));
  std::vector<const data::Image*> squares;
  for (const NamedPicture& picture : pictures) squares.push_back(&picture.square);
  const evaluate::ComponentsRow found = evaluate::components_of(*loaded.network, squares);
  if (std::all_of(found.components.begin(), found.components.end(), is_black))
    err << "note: no foreground stands out from these pictures' borders, so all components are black\n";
  const auto patch = static_cast<int>(loaded.network->options().patch_size);
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    write_png_file(paths[i], evaluate::beside(
                                 {pictures[i].square, evaluate::enlarged(found.components[i], patch)}, kGap));
    out << pictures[i].name << " → " << paths[i].string() << '\n';
  }
  out << "the component that separates the foreground has " << evaluate::number(100 * found.explained, 1)
      << " % of the variance\n";
}

}  // namespace

ModelCommand pca_command() {
  return {"pca", "principal components of the patches as colours, a PNG a picture",
          with_weights_options(with_picture_options(
              {{.name = "--out", .value = "FOLDER", .about = "of the PNG files", .is_required = true},
               force_option()})),
          run};
}

}  // namespace paddock::jobs
