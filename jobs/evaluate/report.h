// jobs/evaluate/report.h – the numbers and pictures for people: report.md, and report.html as one file that
// needs no other. The table is a pivot of the records: rows are models and baselines, columns protocols.
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/image.h"
#include "jobs/evaluate/html.h"
#include "jobs/evaluate/results.h"

namespace paddock::evaluate {

// One row of pictures about one of the dataset's pictures.
struct AttentionRow {
  data::Image picture;
  std::string source;
  std::vector<data::Image> cls_heads;               // one map a head, one pixel a patch
  std::vector<std::vector<data::Image>> registers;  // for each register, one map a head
};

struct ComponentsRow {  // joint principal components of the patch tokens
  std::vector<data::Image> pictures;
  std::vector<data::Image>
      components;        // first three of the foreground as RGB, background black; one pixel a patch
  double explained = 0;  // share of variance along the component that separates foreground
};

struct NeighbourRow {
  struct Found {
    data::Image picture;
    std::string label;
    double similarity = 0;
    bool is_same_class = false;
  };
  data::Image query;
  std::string label;
  std::vector<Found> found;
};

struct ModelFigures {
  std::string model;
  std::vector<AttentionRow> attention;
  ComponentsRow components;
  std::vector<NeighbourRow> neighbours;
};

struct FunnelLine {
  std::string stage;
  std::size_t dropped = 0;
  std::size_t left = 0;
};

struct ReportContent {
  ResultSet results;
  std::vector<std::int64_t> ks;  // of k-NN, as measured
  std::string features;          // cls or cls_patchmean
  std::size_t train_pictures = 0;
  std::size_t test_pictures = 0;
  std::vector<std::string> classes;
  std::vector<FunnelLine> funnel;
  std::vector<LineChart> curves;
  std::vector<ModelFigures> figures;
};

std::string report_markdown(const ReportContent& content);
std::string report_html(const ReportContent& content);

}  // namespace paddock::evaluate
