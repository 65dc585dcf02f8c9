// PanelHeader: the upper 32 px of a panel: title, unit and source, state badge; actions on hover or focus.
#pragma once

#include <QWidget>

class QLabel;
class QPushButton;

namespace pulseboard::qt {

class PanelHeader : public QWidget {
  Q_OBJECT

 public:
  static constexpr int kHeight = 32;

  explicit PanelHeader(QWidget* parent);
  void setWords(const QString& title, const QString& caption);
  // An empty text hides it.
  void setBadge(const QString& words);
  void setMaximised(bool maximised);
  void setTouch(bool touch);
  // Somebody points at the panel, or works in it with keys. Touch windows show the actions always.
  void setActive(bool active);

 Q_SIGNALS:
  void maximiseToggled();
  void removeRequested();

 protected:
  void resizeEvent(QResizeEvent* event) override;

 private:
  void arrange();

  QString title_text_;
  QString caption_text_;
  QLabel* title_;
  QLabel* caption_;
  QLabel* badge_;
  QPushButton* maximise_;
  QPushButton* remove_;
  bool touch_ = false;
};

}  // namespace pulseboard::qt
