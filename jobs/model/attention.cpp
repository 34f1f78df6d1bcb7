// `paddock-run model attention`: where the last block looks, as pictures.
#include <torch/types.h>

#include <algorithm>

#include "jobs/evaluate/color_map.h"
#include "jobs/evaluate/features.h"
#include "jobs/model/commands.h"
#include "jobs/model/decoded_pictures.h"
#include "jobs/model/output_files.h"
#include "jobs/model/picture_names.h"
#include "jobs/threads.h"

namespace paddock::jobs {
namespace {

constexpr int kGap = 4;                     // white pixels between maps
constexpr std::size_t kDecodedAtOnce = 16;  // pictures

// The picture and its maps as large as itself: a row of heads for the class token, one for each register below.
data::Image sheet_of(const evaluate::AttentionRow& attention, const model::VisionTransformer& network) {
  data::Image blank(attention.picture.width, attention.picture.height);
  std::fill(blank.rgb.begin(), blank.rgb.end(), std::uint8_t{255});
  const auto row_of = [&](const data::Image& first, const std::vector<data::Image>& maps) {
    std::vector<data::Image> cells = {first};
    for (const data::Image& map : maps) cells.push_back(map_over(map, first, network));
    return evaluate::beside(cells, kGap);
  };
  std::vector<data::Image> rows = {row_of(attention.picture, attention.cls_heads)};
  for (const std::vector<data::Image>& maps : attention.registers) rows.push_back(row_of(blank, maps));
  return evaluate::below(rows, kGap);
}

void run(const Arguments& arguments, std::ostream& out, std::ostream& err) {
  const LoadedModel loaded = load_given_model(arguments, err);
  model::VisionTransformer& network = *loaded.network;
  const data::Normalization& normalization = normalization_of(loaded);
  const PictureFrame frame = given_frame(arguments, network);
  const std::filesystem::path dir = arguments.text("--out");
  const PictureInputs inputs(arguments.list("--input"));
  refuse_existing_pngs(dir, inputs, arguments.has("--force"));
  PngNames names(dir);
  const auto draw = [&](const std::vector<NamedPicture>& decoded) {
    for (const NamedPicture& picture : decoded) {
      const auto path = names.next(picture.name);
      const auto attention = evaluate::attention_of(network, normalization, picture.image, picture.name);
      write_png_file(path, sheet_of(attention, network));
      out << picture.name << " → " << path.string() << '\n';
    }
  };
  for_decoded_pictures(inputs, frame, network, kDecodedAtOnce, threads_of_this_rank(), err, draw);
}

}  // namespace

ModelCommand attention_command() {
  return {"attention", "where the last block looks, a PNG a picture",
          with_weights_options(with_picture_options(
              {{.name = "--out", .value = "FOLDER", .about = "of the PNG files", .is_required = true},
               force_option()})),
          run};
}

}  // namespace paddock::jobs
