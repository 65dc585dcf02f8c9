// LoginDialog: which server, who, and the password. Errors and the certificate question appear inside, never as a box
// on top.
#pragma once

#include <QDialog>
#include <QTimer>
#include <QVector>

#include "client-qt/model/metrics_source.h"

class QCheckBox;
class QLabel;
class QLineEdit;
class QPushButton;
class QVBoxLayout;

namespace pulseboard::qt {

class LoginNotice;
class ServerRow;

struct RememberedServer {
  QString server;
  QString user;
};

// Drives one MetricsSource through a login; accepted once logged in. Esc stops a running attempt, else closes.
class LoginDialog : public QDialog {
  Q_OBJECT

 public:
  LoginDialog(MetricsSource* source, const QVector<RememberedServer>& remembered, QWidget* parent = nullptr);

  void setServer(const QString& server);
  void setUser(const QString& user);
  // E.g. why the last session ended.
  void showError(const UserError& error);
  // Where and as whom one is logged in, after acceptance.
  RememberedServer used() const;

  void reject() override;

 protected:
  void resizeEvent(QResizeEvent* event) override;
  void showEvent(QShowEvent* event) override;
  bool event(QEvent* event) override;

 private:
  QWidget* makeBrandSide(const QVector<RememberedServer>& remembered);
  QWidget* makeForm();
  QLineEdit* addField(QVBoxLayout* column, const QString& label, const QString& name, QLabel** error);
  void submit();
  void onFailed(const UserError& error);
  void onProbed(const ServerProbe& probe);
  void choose(ServerRow* row);
  QString keptServer() const;
  void updateKept();
  void setBusy(bool busy);
  void setFieldError(QLabel* label, const QString& text);
  void clearErrors();
  void setMark(const QString& text, const char* kind, const QString& tip);

  MetricsSource* const source_;
  QWidget* brand_side_ = nullptr;
  QVector<ServerRow*> rows_;
  QLineEdit* server_ = nullptr;
  QLabel* server_mark_ = nullptr;
  QLabel* server_error_ = nullptr;
  QLineEdit* user_ = nullptr;
  QLabel* user_error_ = nullptr;
  QLineEdit* password_ = nullptr;
  QLabel* password_error_ = nullptr;
  QCheckBox* keep_ = nullptr;
  QPushButton* submit_ = nullptr;
  LoginNotice* notice_ = nullptr;
  QTimer probe_delay_;
  QStringList kept_servers_;
  bool busy_ = false;
};

}  // namespace pulseboard::qt
