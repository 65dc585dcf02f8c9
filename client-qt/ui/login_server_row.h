// ServerRow: one remembered server in the login dialog: a state mark and its address.
#pragma once

#include <QAbstractButton>
#include <optional>

#include "client-qt/model/types.h"

namespace pulseboard::qt {

class ServerRow : public QAbstractButton {
  Q_OBJECT

 public:
  ServerRow(const QString& server, const QString& user, QWidget* parent);

  const QString& server() const { return server_; }
  const QString& user() const { return user_; }
  // What a look at the server showed; the mark is filled when it answers, hollow when not (yet).
  void setProbe(const ServerProbe& probe);
  QSize sizeHint() const override;

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  void describe();

  const QString server_;
  const QString user_;
  std::optional<ServerProbe> probe_;
};

// The address as people write it: without the port when it is the usual one.
QString shortServerName(const QString& server);

}  // namespace pulseboard::qt
