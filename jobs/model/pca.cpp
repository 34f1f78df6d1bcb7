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
  const LoadedModel loaded = load_given_model(arguments, err);
  const data::Normalization& normalization = normalization_of(loaded);
  const PictureFrame frame = given_frame(arguments, *loaded.network);
  const std::filesystem::path dir = arguments.text("--out");
  const PictureInputs inputs(arguments.list("--input"));
  refuse_existing_pngs(dir, inputs, arguments.has("--force"));
  const std::vector<NamedPicture> pictures =
      decode_all_pictures(inputs, frame, *loaded.network, threads_of_this_rank(), err);
  std::vector<const data::Image*> images;
  for (const NamedPicture& picture : pictures) images.push_back(&picture.image);
  const evaluate::ComponentsRow found = evaluate::components_of(*loaded.network, normalization, images);
  if (std::all_of(found.components.begin(), found.components.end(), is_black))
    err << "note: no foreground stands out from these pictures' borders, so all components are black\n";
  PngNames names(dir);
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const data::Image& image = pictures[i].image;
    const auto path = names.next(pictures[i].name);
    write_png_file(path,
                   evaluate::beside({image, map_over(found.components[i], image, *loaded.network)}, kGap));
    out << pictures[i].name << " → " << path.string() << '\n';
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
