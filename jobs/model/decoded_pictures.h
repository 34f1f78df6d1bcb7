// jobs/model/decoded_pictures.h – pictures as a backbone takes them, and what could not be decoded said
// aloud. Threads: one caller; the decoding is shared out.
#pragma once

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "data/image.h"
#include "jobs/evaluate/pictures.h"
#include "jobs/model/picture_inputs.h"
#include "model/vision_transformer.h"

namespace paddock::jobs {

struct NamedPicture {
  std::string name;
  data::Image image;
};

// What a picture becomes before a network sees it.
struct PictureFrame {
  evaluate::EvalTransform square;
  bool is_whole = false;  // not a square: all of it, its shorter side square.image_size long
};

// Throws std::invalid_argument when the network's side policy refuses squares of that size, and says which it
// takes.
void require_size_fits(const model::VisionTransformer& network, std::int64_t image_size);

// Calls `use` with the inputs that decode and whose sides the network's policy takes, in their order, at most
// `at_once` at a time. Each of the others is one line on `err`; returns how many these are. Throws
// std::runtime_error when all are.
std::size_t for_decoded_pictures(const PictureInputs& inputs, const PictureFrame& frame,
                                 const model::VisionTransformer& network, std::size_t at_once, int threads,
                                 std::ostream& err,
                                 const std::function<void(std::vector<NamedPicture>)>& use);

// All of them in memory at once. Throws as for_decoded_pictures.
std::vector<NamedPicture> decode_all_pictures(const PictureInputs& inputs, const PictureFrame& frame,
                                              const model::VisionTransformer& network, int threads,
                                              std::ostream& err);

// A map of a pixel a patch, as large as the picture it was computed from and each cell where its patch was.
data::Image map_over(const data::Image& map, const data::Image& picture,
                     const model::VisionTransformer& network);

}  // namespace paddock::jobs
