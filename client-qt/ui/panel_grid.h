// PanelGrid: the panels on 12 columns, scrolling down. Dropping a metric beside the panels adds one. GUI thread.
#pragma once

#include <QScrollArea>
#include <QVector>

#include "client-qt/model/dashboard_spec.h"

namespace pulseboard::qt {

class Crosshair;
class PanelView;
class StateCard;

class PanelGrid : public QScrollArea {
  Q_OBJECT

 public:
  // Wide keeps the places of the spec; Medium doubles widths and flows; Narrow is one column.
  enum class Density { Wide, Medium, Narrow };

  explicit PanelGrid(Crosshair& crosshair, QWidget* parent = nullptr);
  // Makes the views equal to the spec; views of panels that stay are kept with their data.
  void setPanels(const QVector<PanelSpec>& panels);
  const QVector<PanelView*>& views() const { return views_; }
  PanelView* view(const QString& panel_id) const;
  void setDensity(Density density);
  void setOffline(bool offline);
  // One panel over the whole grid; an empty id restores.
  void setMaximised(const QString& panel_id);
  const QString& maximised() const { return maximised_; }
  void scrollTo(const QString& panel_id);

 Q_SIGNALS:
  void viewAdded(pulseboard::qt::PanelView* view);
  void selectorsDropped(const QStringList& selectors);
  void addRequested();

 protected:
  void resizeEvent(QResizeEvent* event) override;
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  void arrange();
  int rowHeight(int rows) const;
  // Panels in reading order with their places in the present density.
  QVector<PanelSpec> placed() const;

  Crosshair& crosshair_;
  QWidget* page_;
  StateCard* empty_;
  QVector<PanelView*> views_;
  Density density_ = Density::Wide;
  QString maximised_;
  bool offline_ = false;
  bool drop_target_ = false;
};

}  // namespace pulseboard::qt
