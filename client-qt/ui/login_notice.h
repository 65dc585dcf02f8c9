// LoginNotice: the tinted box below the login fields: an error, or the question about a certificate.
#pragma once

#include <QFrame>

#include "client-qt/model/types.h"

class QLabel;
class QPushButton;

namespace pulseboard::qt {

class LoginNotice : public QFrame {
  Q_OBJECT

 public:
  explicit LoginNotice(QWidget* parent);

  void showError(const UserError& error);
  // Asks; then answered() comes once. Keyboard focus goes to the careful answer.
  void ask(const CertificateQuestion& question);
  void clear();
  bool isAsking() const { return asking_; }

 Q_SIGNALS:
  void answered(bool trust);

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  void answer(bool trust);
  void setText(const QString& title, const QString& detail);
  void toggleFingerprints();

  bool asking_ = false;
  bool critical_ = false;
  QString title_;
  QString detail_;
  QLabel* text_;
  QPushButton* compare_;
  QLabel* fingerprints_;  // as shown now
  QLabel* pinned_;        // as trusted before
  QPushButton* refuse_;
  QPushButton* trust_;
};

}  // namespace pulseboard::qt
