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

constexpr int kGap = 4;  // white pixels between maps

// The picture and its maps as large as itself: a row of heads for the class token, one for each register below.
data::Image sheet_of(const evaluate::AttentionRow& attention, int patch) {
  data::Image blank(attention.picture.width, attention.picture.height);
  std::fill(blank.rgb.begin(), blank.rgb.end(), std::uint8_t{255});
  const auto row_of = [patch](const data::Image& first, const std::vector<data::Image>& maps) {
    std::vector<data::Image> cells = {first};
    for (const data::Image& map : maps) cells.push_back(evaluate::enlarged(map, patch));
    return evaluate::beside(cells, kGap);
  };
  std::vector<data::Image> rows = {row_of(attention.picture, attention.cls_heads)};
  for (const std::vector<data::Image>& maps : attention.registers) rows.push_back(row_of(blank, maps));
  return evaluate::below(rows, kGap);
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
  const auto patch = static_cast<int>(loaded.network->options().patch_size);
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const NamedPicture& picture = pictures[i];
    write_png_file(paths[i],
                   sheet_of(evaluate::attention_of(*loaded.network, picture.square, picture.name), patch));
    out << picture.name << " → " << paths[i].string() << '\n';
  }
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
