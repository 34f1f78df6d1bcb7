// model/weight_names.h – whose weights are these? Recognises the files in which ViTs are published and gives them the
// official DINOv2 names and shapes; and the way back to Hugging Face's names.
//   dinov2       official files and training checkpoints, chunked or not, under any prefix; also Paddock's own
//   hf-dinov2    Dinov2Model, Dinov2WithRegistersModel and what is built on them, old and new names
//   timm-dinov2  timm's ViTs with LayerScale or registers (DINOv2, DeiT III)
//   dino         DINO v1, and the plain ViTs of the same names: DeiT, timm's supervised ones
//   ibot, mae, moco-v3   backbone or encoder of each
//   hf-vit       ViTModel, ViTMAEModel: DINO v1, MAE and supervised ones; norm_epsilon is the 1e-12 of their configs,
//                and who has a config.json with another layer_norm_eps sets that
//   hf-clip      CLIPVisionModel, or the vision tower of CLIPModel
//   open-clip    the vision tower under OpenAI's and OpenCLIP's names
//   timm-clip    timm's vit_*_clip_*, also as OpenCLIP's visual.trunk
//   ijepa, hf-ijepa   I-JEPA's encoder, of a training checkpoint the target encoder; IJepaModel
// Of CLIP the text tower and the projection into the common space are left out. Networks that VisionTransformer cannot
// compute exactly (SigLIP, BEiT, DINOv3, Swin, …) are refused by name.
// Threads: pure functions. Tensors share storage with those given wherever nothing had to be joined or added.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/vision_transformer.h"
#include "model/weights.h"

namespace paddock::model {

struct RecognisedWeights {
  std::string family;  // one of those above
  // All but the initial value of LayerScale and the rate of stochastic depth follow from names and shapes. Positions are
  // resized as the family's own code does it.
  VisionTransformerOptions options;
  bool is_activation_assumed = false;  // nothing in the file says options.activation: CLIP exists with both
  TensorMap backbone;  // exactly what load_weights(network.parameters(), …) takes; dtypes as in the file
  std::vector<std::string>
      left_out;  // names in the file of heads, decoders, the student, …: knowingly unused
};

// `tensors`: all of a file, names joined by '.', on the CPU. Of a student and a teacher the teacher is taken. `heads` is
// in no shape: without it, as in the published models of the family and width, a head of 64 where nothing else is known.
// `grid` of the table of positions is in none either: without it the table must be square.
// A missing mask token or class position becomes zeros, where the family has none.
// Throws std::invalid_argument: no known family; a refused one, saying what differs; otherwise one message with every
// missing, unknown and mis-shaped name as the file would spell it.
RecognisedWeights recognise_weights(const TensorMap& tensors, std::optional<std::int64_t> heads,
                                    std::optional<Grid> grid = std::nullopt);

// What such a network has that no released DINOv2 has, for a sentence: "no class token, quick GELU". Empty: nothing.
std::string differences_from_dinov2(const VisionTransformerOptions& options);

// The state dict of Dinov2Model, or of Dinov2WithRegistersModel where the network has registers, by its names on disk.
// Throws std::invalid_argument without LayerScale, which both classes need, and with differences_from_dinov2.
NamedTensors hugging_face_names(const VisionTransformer& network);

}  // namespace paddock::model
